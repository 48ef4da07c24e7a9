"""The scan of a text file: one row, after its text was read and checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.contracts.format import BadSample, ContentColumn, FileFacts, PropertyColumn, ScanBatch
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import SampleError
from mixtera.formats.opening import open_unchanged
from mixtera.formats.sniff import HEAD_BYTES, look_at
from mixtera.formats.text.document import read_document, reason_against
from mixtera.formats.values import INDEX_FIELDS

CONTENT: Final = "text"
"""What the only content is called."""

_EXCERPT_BYTES: Final = 80


class TextScan:
    """The scan of one file: iterate it to the end, then ask for `facts`."""

    def __init__(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> None:
        refuse_properties({column.name: column.path for column in properties}, file)
        check_content(content, file)
        self._storage = storage
        self._file = file
        self._content_bytes = 0

    def __iter__(self) -> Iterator[ScanBatch]:
        """The one row, or the reason why it is bad."""
        with open_unchanged(self._storage, self._file) as source:
            data = read_document(source, self._file)
        self._content_bytes = len(data)
        reason = _reason(data)
        bad = () if reason is None else (BadSample(0, -1, reason, data[:_EXCERPT_BYTES].decode("utf-8", "replace")),)
        yield ScanBatch(_index(1 - len(bad)), bad, self._file.size)

    def facts(self) -> FileFacts:
        """One row, which is read alone."""
        return FileFacts(1, (), self._content_bytes)


def _reason(data: bytes) -> str | None:
    """Why a document cannot be used, with what it looks like instead."""
    reason = reason_against(data)
    look = None if reason is None else look_at(data[:HEAD_BYTES])
    return f"{reason}; it looks like {look.words}" if look is not None and look.certain else reason


def refuse_properties(paths: dict[str, str], file: FileInfo) -> None:
    """Say that text files have no properties.

    Raises:
        SampleError: Some are asked for.
    """
    if paths:
        name, path = next(iter(paths.items()))
        raise SampleError(
            f"{file.url}: property {name!r} ({path}): a plain text file has no properties, it is one text and nothing "
            "else; leave `properties` out, make a source of each kind of file and ask for it by `dataset`, or store "
            "the texts with their properties as JSONL or Parquet"
        )


def check_content(content: Sequence[ContentColumn], file: FileInfo) -> None:
    """Check that the content asked for is the text.

    Raises:
        SampleError: It is not.
    """
    for column in content:
        if column.path != CONTENT:
            raise SampleError(
                f"{file.url}: no content {column.path!r}: what a plain text file holds is called {CONTENT!r}; write "
                f"`content: {CONTENT}`, or `content: {{{column.name}: {CONTENT}}}`"
            )


def _index(rows: int) -> pa.RecordBatch:
    nothing = pa.nulls(rows, pa.int64())
    arrays = [from_numpy(np.arange(rows, dtype=np.int64)), nothing, nothing]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(INDEX_FIELDS))
