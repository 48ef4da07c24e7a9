"""A format whose files only say how many rows they have: the catalog of ten million samples without their payload.

It comes through the same door as any plugin: an entry point, here in `mixtera_benchmark-1.dist-info` beside this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa

from mixtera.contracts.format import (
    ContentColumn,
    FileFacts,
    PropertyColumn,
    ReadRequest,
    ScanBatch,
)
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import SampleError

BATCH_ROWS = 65536
RECORD_BYTES = 850
DOMAINS = np.array([f"domain-{i:02d}" for i in range(22)])


class SyntheticScan:
    """Rows with random domains, offsets as if each record had `RECORD_BYTES`."""

    def __init__(self, rows: int, seed: int, properties: Sequence[PropertyColumn]) -> None:
        self._rows = rows
        self._seed = seed
        self._names = [column.name for column in properties]

    def __iter__(self) -> Iterator[ScanBatch]:
        random = np.random.Generator(np.random.PCG64(self._seed))
        for start in range(0, self._rows, BATCH_ROWS):
            rows = np.arange(start, min(start + BATCH_ROWS, self._rows), dtype=np.int64)
            values = {
                "domain": pa.array(DOMAINS[random.integers(0, len(DOMAINS), len(rows))]),
                "year": pa.array(random.integers(1995, 2026, len(rows))),
            }
            columns = {
                "row": pa.array(rows),
                "offset": pa.array(rows * RECORD_BYTES),
                "length": pa.array(np.full(len(rows), RECORD_BYTES - 1, np.int64)),
                **{name: values[name] for name in self._names},
            }
            yield ScanBatch(pa.RecordBatch.from_pydict(columns))

    def facts(self) -> FileFacts:
        """Every row is there."""
        return FileFacts(rows=self._rows, content_bytes=self._rows * RECORD_BYTES)


class SyntheticReader:
    """There is nothing to read."""

    held_bytes = 0

    def read(self, request: ReadRequest) -> pa.RecordBatch:
        """Refuse.

        Raises:
            SampleError: Always.
        """
        raise SampleError(f"synthetic files have no payload; {len(request.rows)} samples were asked of one")

    def close(self) -> None:
        """Nothing is open."""


class Synthetic:
    """The format: suffix `.synthetic`, properties `domain` and `year`."""

    name = "synthetic"
    suffixes = (".synthetic",)
    offsets: Literal["always"] = "always"

    def infer(
        self, storage: Storage, files: Sequence[FileInfo], paths: Mapping[str, str]
    ) -> dict[str, PropertyType | None]:
        """`domain` is a string, `year` an integer."""
        types: dict[str, PropertyType | None] = {"domain": "string", "year": "int64"}
        return {name: types.get(name) for name in paths}

    def scan(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> SyntheticScan:
        """Read how many rows to make."""
        with storage.open(file.url) as opened:
            stated = json.loads(opened.read())
        return SyntheticScan(stated["rows"], stated["seed"], properties)

    def reader(
        self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn], cache_bytes: int
    ) -> SyntheticReader:
        """A reader that refuses."""
        return SyntheticReader()
