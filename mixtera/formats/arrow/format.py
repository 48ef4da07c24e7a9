"""The Arrow format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast

import pyarrow as pa

from mixtera.contracts.format import ContentColumn, PropertyColumn, ReadRequest, SampleReader
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.formats.arrow.file import ArrowFile
from mixtera.formats.arrow.read import ArrowReader, read
from mixtera.formats.arrow.scan import ArrowScan
from mixtera.formats.columnar.columns import look
from mixtera.formats.guess import Guess, spread


class Arrow:
    """Arrow IPC files and streams: a row is a sample."""

    name = "arrow"
    suffixes = (".arrow", ".arrows", ".feather", ".ipc")
    offsets: Literal["always", "never"] = "never"

    def infer(
        self, storage: Storage, files: Sequence[FileInfo], paths: Mapping[str, str]
    ) -> dict[str, PropertyType | None]:
        """The types of the property columns, by the schemas of up to eight files; see `Format.infer`."""
        guesses = {name: Guess(name, path) for name, path in paths.items()}
        for file in spread(files):
            opened = ArrowFile(storage, file)
            opened.close()
            for name, path in paths.items():
                look(guesses[name], opened.schema, path, file.url)
        return {name: guess.result() for name, guess in guesses.items()}

    def scan(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> ArrowScan:
        """Read the index of one file; see `Format.scan`."""
        return ArrowScan(storage, file, properties, content)

    def reader(
        self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn], cache_bytes: int
    ) -> ArrowReader:
        """Open a file for reading chosen samples; what is decoded or mapped is kept, up to `cache_bytes`."""
        return ArrowReader(storage, file, content, cache_bytes)

    def read(self, requests: Iterable[tuple[SampleReader, ReadRequest]]) -> pa.RecordBatch:
        """Samples of several files; see `Format.read`."""
        return read(cast("Iterable[tuple[ArrowReader, ReadRequest]]", requests))
