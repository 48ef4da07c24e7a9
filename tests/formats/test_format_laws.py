"""The laws of formats, for every format and compression; files are written by other libraries."""

import bz2
import gzip
import json
import lzma
from typing import ClassVar

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import zstandard

from mixtera.formats.arrow import Arrow
from mixtera.formats.csv import Csv
from mixtera.formats.jsonl import Jsonl
from mixtera.formats.parquet import Parquet
from mixtera.formats.text import Text
from mixtera.testing.format import PROPERTIES, FormatLaws

EMPTY = pa.table({"text": pa.array([], pa.string())})


def lines(records, ascii_only=False) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=ascii_only) + "\n" for record in records).encode()


def as_table(records) -> pa.Table:
    return pa.Table.from_pylist([dict(record) for record in records]) if records else EMPTY


def flattened(records) -> pa.Table:
    """Records without their lists, objects as columns with dots in their names."""
    table = as_table([{key: value for key, value in record.items() if key != "topics"} for record in records])
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    return table


def delimited(records, delimiter=",") -> bytes:
    """What pyarrow's CSV writer makes of records: strings in quotes, NULL empty."""
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(flattened(records), sink, pa.csv.WriteOptions(delimiter=delimiter))
    return sink.getvalue().to_pybytes()


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


class TestBzip2OfManyStreams(FormatLaws):
    format = Jsonl()
    suffix = ".jsonl.bz2"

    def write(self, path, records):
        data = lines(records)
        path.write_bytes(b"".join(bz2.compress(data[i : i + 700_000]) for i in range(0, len(data), 700_000)))


class TestXzOfManyStreams(FormatLaws):
    format = Jsonl()
    suffix = ".jsonl.xz"

    def write(self, path, records):
        data = lines(records)
        pieces = (data[i : i + 700_000] for i in range(0, len(data), 700_000))
        path.write_bytes(b"".join(lzma.compress(piece, preset=0) for piece in pieces))


class TestLz4Jsonl(FormatLaws):
    format = Jsonl()
    suffix = ".jsonl.lz4"

    def write(self, path, records):
        with pa.CompressedOutputStream(str(path), "lz4") as out:
            out.write(lines(records))


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


class CsvLaws(FormatLaws):
    format = Csv()
    properties = tuple(column for column in PROPERTIES if column.name != "topics")
    gaps: ClassVar = {"test_an_object_cannot_be_a_property": "a field of a CSV file is never an object"}


class TestCsv(CsvLaws):
    suffix = ".csv"

    def write(self, path, records):
        path.write_bytes(delimited(records))


class TestTabs(CsvLaws):
    suffix = ".tsv"

    def write(self, path, records):
        path.write_bytes(delimited(records, "\t"))


class TestWindowsCsv(CsvLaws):
    """Semicolons, a byte order mark, carriage returns at the ends of records, and no line end at the end."""

    suffix = ".csv"

    def write(self, path, records):
        data = delimited(records, ";").replace(b'\n""q""', b"\0").replace(b"\n", b"\r\n").replace(b"\0", b'\n""q""')
        path.write_bytes(b"\xef\xbb\xbf" + data.removesuffix(b"\r\n"))


class TestGzipCsv(CsvLaws):
    suffix = ".csv.gz"

    def write(self, path, records):
        path.write_bytes(gzip.compress(delimited(records)))


class TestZstdTabs(CsvLaws):
    suffix = ".tsv.zst"

    def write(self, path, records):
        path.write_bytes(zstandard.ZstdCompressor().compress(delimited(records, "\t")))


class TestZstdCsvOfManyFrames(CsvLaws):
    suffix = ".csv.zst"

    def write(self, path, records):
        data = delimited(records)
        pack = zstandard.ZstdCompressor().compress
        path.write_bytes(b"".join(pack(data[i : i + 90_000]) for i in range(0, len(data), 90_000)))


class TextLaws(FormatLaws):
    format = Text()
    rows = 1
    properties = ()
    gaps: ClassVar = {
        name: reason
        for reason, names in {
            "a text file has no properties": [
                "test_types_are_inferred",
                "test_a_property_no_record_has_is_null",
                "test_two_properties_may_have_one_path",
            ],
            "a text file has one content": ["test_several_content_columns", "test_content_below_an_object"],
            "a text file is one sample": ["test_records_without_content_are_named", "test_a_file_without_records"],
            "a shorter text is a text": ["test_a_file_cut_short_is_noticed"],
            "text is no object": ["test_an_object_cannot_be_a_property"],
        }.items()
        for name in names
    }


class TestText(TextLaws):
    suffix = ".txt"

    def write(self, path, records):
        path.write_text("".join(record["text"] or "" for record in records), encoding="utf-8", newline="")


class TestGzipText(TextLaws):
    suffix = ".txt.gz"
    gaps: ClassVar = {name: reason for name, reason in TextLaws.gaps.items() if "cut_short" not in name}

    def write(self, path, records):
        path.write_bytes(gzip.compress("".join(record["text"] or "" for record in records).encode()))


class TestArrowFile(FormatLaws):
    format = Arrow()
    suffix = ".arrow"

    def write(self, path, records):
        table = as_table(records)
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=700)


class TestArrowStream(TestArrowFile):
    def write(self, path, records):
        table = as_table(records)
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=100)


class TestCompressedArrowStream(TestArrowFile):
    suffix = ".arrows"

    def write(self, path, records):
        table = as_table(records)
        with pa.ipc.new_stream(path, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table, max_chunksize=700)


class TestFeather(TestArrowFile):
    """LZ4 buffers."""

    suffix = ".feather"

    def write(self, path, records):
        pa.feather.write_feather(as_table(records), path, compression="lz4", chunksize=300)


class TestArrowOfOtherTypes(TestArrowFile):
    """Dictionaries that grow from batch to batch, large and view strings, large lists."""

    def write(self, path, records):
        table = as_table(records)
        other = {"text": pa.large_string(), "topics": pa.large_list(pa.large_string()), "title": None}
        for name in table.schema.names:
            if name in other:
                column = table[name].cast(other[name]) if other[name] is not None else table[name].dictionary_encode()
                table = table.set_column(table.schema.get_field_index(name), name, column)
        options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
        with pa.ipc.new_stream(path, table.schema, options=options) as writer:
            for batch in table.to_batches(max_chunksize=500):
                writer.write_batch(batch)


class TestArrowOfViews(TestArrowFile):
    suffix = ".ipc"

    def write(self, path, records):
        table = as_table(records)
        views = [pa.field(f.name, pa.string_view() if f.type == pa.string() else f.type) for f in table.schema]
        table = table.cast(pa.schema(views))
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=1000)
