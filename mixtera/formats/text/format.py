"""The format of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast

import pyarrow as pa

from mixtera.contracts.format import ContentColumn, PropertyColumn, ReadRequest, SampleReader
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.formats.text.read import TextReader, read
from mixtera.formats.text.scan import TextScan, refuse_properties

_PLAIN = (".txt", ".text")
_COMPRESSED = tuple(f"{plain}{packed}" for plain in _PLAIN for packed in (".gz", ".zst", ".bz2", ".xz", ".lz4"))


class Text:
    """A text file is a sample. Compression is told by the first bytes of a file, not by its suffix."""

    name = "text"
    suffixes = _PLAIN + _COMPRESSED
    offsets: Literal["always", "never"] = "never"

    def infer(
        self, storage: Storage, files: Sequence[FileInfo], paths: Mapping[str, str]
    ) -> dict[str, PropertyType | None]:
        """There are no properties.

        Raises:
            SampleError: One is asked for.
        """
        refuse_properties(dict(paths), files[0])
        return {}

    def scan(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> TextScan:
        """Read and check one file; see `Format.scan`."""
        return TextScan(storage, file, properties, content)

    def reader(
        self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn], cache_bytes: int
    ) -> TextReader:
        """Open a file for reading."""
        return TextReader(storage, file, content)

    def read(self, requests: Iterable[tuple[SampleReader, ReadRequest]]) -> pa.RecordBatch:
        """The texts of several files; see `Format.read`."""
        return read(cast("Iterable[tuple[TextReader, ReadRequest]]", requests))
