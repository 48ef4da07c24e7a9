"""Text files as Arrow columns."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from mixtera.arrow import strings
from mixtera.contracts.format import ContentColumn, ReadRequest
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import SampleError, StorageError
from mixtera.formats.opening import open_unchanged
from mixtera.formats.text.document import LARGEST_BYTES, read_document, reason_against
from mixtera.formats.text.scan import check_content

_LONGEST_STRINGS = 2**31 - 1


class TextReader:
    """Reads one text file."""

    def __init__(self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn]) -> None:
        check_content(content, file)
        self.file = file
        self.names = [column.name for column in content]
        self._storage: Storage | None = storage
        source = open_unchanged(storage, file)
        self._source: BinaryIO | None = source
        self._release = weakref.finalize(self, source.close)

    @property
    def held_bytes(self) -> int:
        """No memory is kept between requests."""
        return 0

    @property
    def spooled_bytes(self) -> int:
        """Nothing is kept on disk."""
        return 0

    def read(self, request: ReadRequest) -> pa.RecordBatch:
        """The text, where it is asked for."""
        return read([(self, request)])

    def documents(self, request: ReadRequest) -> list[bytes]:
        """The text as bytes, in a list, where it is asked for."""
        if self._storage is None:
            raise StorageError(f"{self.file.url} is closed")
        if not len(request.rows):
            return []
        if request.rows[-1] > 0:
            raise SampleError(f"{self.file.url}: row {request.rows[-1]} is asked for, but a text file is one row")
        with self._source or open_unchanged(self._storage, self.file) as source:
            self._source = None
            return [read_document(source, self.file)]

    def close(self) -> None:
        """Release the file."""
        self._release()
        self._source = self._storage = None


def read(requests: Iterable[tuple[TextReader, ReadRequest]]) -> pa.RecordBatch:
    """The texts of several files; see `Format.read`."""
    names: list[str] = []
    documents: list[bytes] = []
    files: list[FileInfo] = []
    for reader, request in requests:
        names = reader.names
        found = reader.documents(request)
        documents += found
        files += [reader.file] * len(found)
    sound = all(len(document) <= LARGEST_BYTES and 0 not in document for document in documents)
    texts = _strings(documents) if sound else None
    if texts is None:
        raise _refused(documents, files)
    return pa.RecordBatch.from_arrays([texts] * len(names), names=names)


def _strings(documents: Sequence[bytes]) -> pa.Array | None:
    """Documents as strings; None if one of them is not UTF-8."""
    if not documents:
        return strings([])
    edges = np.zeros(len(documents) + 1, np.int64)
    np.cumsum([len(document) for document in documents], out=edges[1:])
    large = int(edges[-1]) > _LONGEST_STRINGS
    data = documents[0] if len(documents) == 1 else b"".join(documents)
    offsets = edges if large else edges.astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    texts = pa.Array.from_buffers(pa.large_string() if large else pa.string(), len(documents), buffers)
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return texts


def _refused(documents: Sequence[bytes], files: Sequence[FileInfo]) -> SampleError:
    reasons = ((file, reason_against(document)) for file, document in zip(files, documents, strict=True))
    file, reason = next((file, reason) for file, reason in reasons if reason)
    return SampleError(f"{file.url}: {reason}; the file changed since it was indexed: index it again")
