"""Files that lie beside a token file and say where its documents end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final, cast

import numpy as np
import pyarrow as pa

from mixtera.arrow import to_numpy
from mixtera.contracts.format import Int64s
from mixtera.contracts.storage import FileInfo, RandomAccess, Storage
from mixtera.errors import SampleError, StorageError
from mixtera.formats.compression import plain_stream
from mixtera.formats.tokens.options import CSV, INDEX
from mixtera.links import parted

_WIDTH: Final = 8
_PIECE: Final = 1 << 16
_CSV_BLOCK: Final = 4 << 20


def index_url(path: str) -> str:
    """Where the index of a file lies, or those of a pattern."""
    before, link, after = parted(path)
    return f"{before}{link}.index{after}"


def csv_url(path: str) -> str:
    """Where the table of a file lies, or those of a pattern: `X.csv.gz` beside `X.npy`."""
    before, link, after = parted(path)
    return f"{before}{link.removesuffix(PurePosixPath(link).suffix)}.csv.gz{after}"


def beside_of(path: str, boundaries: str | None) -> str | None:
    """What lies beside a file, or the files of a pattern, and says where documents end; None for nothing."""
    return {INDEX: index_url, CSV: csv_url}[boundaries](path) if boundaries in (INDEX, CSV) else None


def index_ends(storage: Storage, file: FileInfo) -> Iterator[Int64s]:
    """Ends of documents in tokens, of `X.index`: little-endian 64-bit integers.

    Raises:
        SampleError: It is cut short.
        StorageError: It cannot be read.
    """
    access = _opened(storage, file)
    try:
        count = access.size // _WIDTH
        for first in range(0, count, _PIECE):
            yield _values(access, first, min(first + _PIECE, count))
    finally:
        access.close()


def last_end(storage: Storage, file: FileInfo) -> int:
    """The last of these ends; 0 if there is none."""
    access = _opened(storage, file)
    try:
        count = access.size // _WIDTH
        return int(_values(access, count - 1, count)[0]) if count else 0
    finally:
        access.close()


def _opened(storage: Storage, file: FileInfo) -> RandomAccess:
    url = index_url(file.url)
    try:
        access = storage.random_access(url)
    except StorageError as error:
        raise StorageError(f"{file.url}: {error}. {_ADVICE}") from error
    if access.size % _WIDTH:
        size = access.size
        access.close()
        raise SampleError(f"{url} is cut short: its {size:,} bytes are no whole number of 64-bit ends of documents")
    return access


_ADVICE: Final = (
    "It says where documents end. Without it, write `boundaries: none` (a file is a document), or `separator: ID`, "
    "into the `format` of the source"
)


def _values(access: RandomAccess, first: int, last: int) -> Int64s:
    found = access.gather(np.array([first * _WIDTH]), np.array([last * _WIDTH]))
    return np.frombuffer(found[0].as_buffer(), "<i8")


def csv_ends(storage: Storage, file: FileInfo) -> Iterator[Int64s]:
    """Ends of documents in tokens, of OLMo's table of documents: its columns are start, end, and others.

    Raises:
        SampleError: It is no such table, or documents do not lie back to back.
        StorageError: It cannot be read.
    """
    url = csv_url(file.url)
    try:
        beside = storage.stat(url)
    except StorageError as error:
        raise StorageError(f"{file.url}: {error}. {_ADVICE}") from error
    row = before = 0
    with storage.open(url) as source, plain_stream(source, beside) as (stream, _):
        try:
            for table in _batches(stream):
                starts, ends = (cast(Int64s, to_numpy(column)) for column in table.columns)
                wrong = np.flatnonzero(starts != np.concatenate([[before], ends[:-1]]))
                if len(wrong):
                    place = int(wrong[0])
                    raise SampleError(
                        f"{url}, line {row + place + 1}: the document begins at token {starts[place]:,}, not where the "
                        "one before it ends: only documents that lie back to back can be read"
                    )
                yield ends
                row, before = row + len(ends), int(ends[-1])
        except (pa.ArrowInvalid, KeyError) as error:
            raise SampleError(f"{url} is no table of documents, with lines `start,end,…`: {error}") from error


def _batches(stream: object) -> Iterator[pa.RecordBatch]:
    """The first two columns of a table without a header."""
    from pyarrow import csv

    names = ["f0", "f1"]
    source = pa.PythonFile(stream, mode="r")
    try:
        reader = csv.open_csv(
            source,
            csv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK, autogenerate_column_names=True),
            csv.ParseOptions(newlines_in_values=True),
            csv.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, pa.int64()), null_values=[]),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return
        raise
    yield from (batch for batch in reader if len(batch))
