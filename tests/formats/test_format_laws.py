"""The laws of formats, for every format and compression; files are written by other libraries."""

import bz2
import gzip
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from mixtera.formats.jsonl import Jsonl
from mixtera.formats.parquet import Parquet
from mixtera.testing.format import FormatLaws

EMPTY = pa.table({"text": pa.array([], pa.string())})


def lines(records, ascii_only=False) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=ascii_only) + "\n" for record in records).encode()


def as_table(records) -> pa.Table:
    return pa.Table.from_pylist([dict(record) for record in records]) if records else EMPTY


class TestPlainJsonl(FormatLaws):
    format = Jsonl()
    suffix = ".jsonl"

    def write(self, path, records):
        path.write_bytes(lines(records))


class TestAsciiJsonl(FormatLaws):
    format = Jsonl()
    suffix = ".ndjson"

    def write(self, path, records):
        path.write_bytes(lines(records, ascii_only=True))


class TestWindowsJsonl(FormatLaws):
    """A byte order mark, carriage returns, and no line end at the end."""

    format = Jsonl()
    suffix = ".json"

    def write(self, path, records):
        path.write_bytes(
            b"\xef\xbb\xbf" + lines(records).replace(b"\n", b"\r\n").removesuffix(b"\r\n") if records else b""
        )


class TestGzipJsonl(FormatLaws):
    format = Jsonl()
    suffix = ".jsonl.gz"

    def write(self, path, records):
        path.write_bytes(gzip.compress(lines(records)))


class TestGzipOfManyMembers(FormatLaws):
    format = Jsonl()
    suffix = ".jsonl.gz"

    def write(self, path, records):
        data = lines(records)
        path.write_bytes(b"".join(gzip.compress(data[i : i + 50_000]) for i in range(0, len(data), 50_000)))


class TestZstdJsonl(FormatLaws):
    format = Jsonl()
    suffix = ".jsonl.zst"

    def write(self, path, records):
        path.write_bytes(zstandard.ZstdCompressor().compress(lines(records)))


class TestZstdOfManyFrames(FormatLaws):
    """Frames of 50,000 bytes, a skippable frame before each."""

    format = Jsonl()
    suffix = ".jsonl.zst"

    def write(self, path, records):
        data = lines(records)
        skippable = (0x184D2A53).to_bytes(4, "little") + (7).to_bytes(4, "little") + b"skip me"
        pack = zstandard.ZstdCompressor().compress
        path.write_bytes(b"".join(skippable + pack(data[i : i + 50_000]) for i in range(0, len(data), 50_000)))


class TestBzip2Jsonl(FormatLaws):
    format = Jsonl()
    suffix = ".ndjson.bz2"

    def write(self, path, records):
        path.write_bytes(bz2.compress(lines(records)))


class TestXzJsonl(FormatLaws):
    format = Jsonl()
    suffix = ".ndjson.xz"

    def write(self, path, records):
        path.write_bytes(lzma.compress(lines(records)))


class TestParquet(FormatLaws):
    format = Parquet()
    suffix = ".parquet"

    def write(self, path, records):
        table = as_table(records)
        pq.write_table(table, path, row_group_size=700)


class TestParquetOfOtherTypes(FormatLaws):
    """Dictionary-encoded and large strings, narrow numbers, large lists; no statistics, one row group."""

    format = Parquet()
    suffix = ".pq"

    def write(self, path, records):
        table = as_table(records)
        other = {
            "text": pa.large_string(),
            "title": pa.dictionary(pa.int32(), pa.string()),
            "topics": pa.large_list(pa.large_string()),
        }
        for name, wanted in other.items():
            if name in table.schema.names:
                place = table.schema.get_field_index(name)
                column = table[name]
                column = column.dictionary_encode() if name == "title" else column.cast(wanted)
                table = table.set_column(place, name, column)
        pq.write_table(table, path, write_statistics=False)
