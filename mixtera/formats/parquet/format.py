"""The Parquet format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast

import pyarrow as pa

from mixtera.contracts.format import ContentColumn, FileFacts, PropertyColumn, ReadRequest, SampleReader
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.formats.columnar.columns import look
from mixtera.formats.guess import Guess, spread
from mixtera.formats.parquet.file import open_parquet
from mixtera.formats.parquet.read import ParquetReader, read
from mixtera.formats.parquet.scan import ParquetScan, facts_of


class Parquet:
    """Parquet: a row is a sample, row groups are read as a whole."""

    name = "parquet"
    suffixes = (".parquet", ".pq")
    offsets: Literal["always", "never"] = "never"

    def infer(
        self, storage: Storage, files: Sequence[FileInfo], paths: Mapping[str, str]
    ) -> dict[str, PropertyType | None]:
        """The types of the property columns, by the schemas of up to eight files; see `Format.infer`."""
        guesses = {name: Guess(name, path) for name, path in paths.items()}
        for file in spread(files):
            schema = _schema(storage, file)
            for name, path in paths.items():
                look(guesses[name], schema, path, file.url)
        return {name: guess.result() for name, guess in guesses.items()}

    def scan(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> ParquetScan:
        """Read the index of one file; see `Format.scan`."""
        return ParquetScan(storage, file, properties, content)

    def summary(self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn]) -> FileFacts:
        """What its footer says; see `Summarising.summary`."""
        parquet = open_parquet(storage, file)
        try:
            return facts_of(parquet, file, content)
        finally:
            parquet.close(force=True)

    def reader(
        self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn], cache_bytes: int
    ) -> ParquetReader:
        """Open a file for reading chosen samples; decoded row groups are kept: up to `cache_bytes`, and on disk."""
        return ParquetReader(storage, file, content, cache_bytes)

    def read(self, requests: Iterable[tuple[SampleReader, ReadRequest]]) -> pa.RecordBatch:
        """Samples of several files; see `Format.read`."""
        return read(cast("Iterable[tuple[ParquetReader, ReadRequest]]", requests))


def _schema(storage: Storage, file: FileInfo) -> pa.Schema:
    parquet = open_parquet(storage, file)
    try:
        return parquet.schema_arrow
    finally:
        parquet.close(force=True)
