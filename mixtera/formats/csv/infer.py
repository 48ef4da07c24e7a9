"""Guess the types of properties from the first records of some files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.formats.compression import plain_stream
from mixtera.formats.csv.decode import decode, joined
from mixtera.formats.csv.header import Header
from mixtera.formats.csv.records import field_counts, find_records
from mixtera.formats.csv.scan import read_header
from mixtera.formats.csv.values import looks_like
from mixtera.formats.guess import Guess, spread
from mixtera.formats.opening import open_unchanged, read_fully

_HEAD_BYTES: Final = 1 << 20
_HEAD_RECORDS: Final = 1000


def infer(storage: Storage, files: Sequence[FileInfo], paths: Mapping[str, str]) -> dict[str, PropertyType | None]:
    """Guess from up to 1,000 records of the first MiB of up to eight files, spread over the list."""
    guesses = {name: Guess(name, path) for name, path in paths.items()}
    for file in spread(files):
        header, fields = first_records(storage, file)
        for name, path in paths.items():
            place = None if header is None else header.find(path)
            found = None if place is None else looks_like(fields[place])
            if found is not None:
                guesses[name].see(found, file.url)
    return {name: guess.result() for name, guess in guesses.items()}


def first_records(storage: Storage, file: FileInfo) -> tuple[Header | None, list[pa.StringArray]]:
    """The header of a file and the fields of its first records; those that are broken are the scan's to report.

    Raises:
        SampleError: The file has no header that can be read.
        StorageError: It cannot be read.
    """
    with open_unchanged(storage, file) as source, plain_stream(source, file) as (stream, _):
        header, head = read_header(stream, file)
        if header is None:
            return None, []
        data = head[header.length :] + read_fully(stream, _HEAD_BYTES)
        ended = len(data) < _HEAD_BYTES
    text = np.frombuffer(data, np.uint8)
    records = find_records(text, header.delimiter, ended)
    count = len(header.names)
    nothing = [pa.array([], pa.string())] * count
    if not len(records.stops):
        return header, nothing
    good = (records.ends > records.starts) & (field_counts(text, records, header.delimiter) == count)
    good[list(records.broken)] = False
    chosen = np.flatnonzero(good)[:_HEAD_RECORDS]
    if not len(chosen):
        return header, nothing
    whole = joined(data, records.starts[chosen], records.stops[chosen])
    try:
        return header, decode(whole, count, header.delimiter, range(count), pa.string())
    except pa.ArrowInvalid:  # not UTF-8 somewhere
        fields = decode(whole, count, header.delimiter, range(count), pa.binary())
        return header, [_readable(field) for field in fields]


def _readable(field: pa.BinaryArray) -> pa.StringArray:
    values = [None if value is None else value.decode("utf-8", "replace") for value in field.to_pylist()]
    return pa.array(values, pa.string())
