"""The JSONL format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.contracts.format import ContentColumn, PropertyColumn, ReadRequest, SampleReader
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import SampleError
from mixtera.formats.compression import compression_of
from mixtera.formats.jsonl.infer import infer
from mixtera.formats.jsonl.read import JsonlReader, load, read
from mixtera.formats.jsonl.scan import JsonlScan

_PLAIN = (".jsonl", ".ndjson", ".json")
_COMPRESSED = tuple(f"{plain}{packed}" for plain in _PLAIN[:2] for packed in (".gz", ".zst", ".bz2", ".xz", ".lz4"))


class Jsonl:
    """One JSON object a line. Compression is told by the first bytes of a file, not by its suffix."""

    name = "jsonl"
    suffixes = _PLAIN + _COMPRESSED
    offsets: Literal["always", "never"] = "always"

    def infer(
        self, storage: Storage, files: Sequence[FileInfo], paths: Mapping[str, str]
    ) -> dict[str, PropertyType | None]:
        """Guess the type of each property from the first records of some files; see `Format.infer`."""
        return infer(storage, files, paths)

    def scan(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> JsonlScan:
        """Read the index of one file; see `Format.scan`."""
        return JsonlScan(storage, file, properties, content)

    def check_placed(self, storage: Storage, file: FileInfo) -> None:
        """Whether bytes of the file are bytes of its records; see `Placed.check_placed`."""
        if (compression := compression_of(storage, file)) is not None:
            raise SampleError(
                f"{file.url} is compressed ({compression}): offsets and lengths say nothing of its bytes; decompress "
                "it, or let `mixtera index` read the records of the source, without `table`"
            )

    def reader(
        self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn], cache_bytes: int
    ) -> JsonlReader:
        """Open a file for reading chosen samples; a compressed one through a decompressed copy."""
        return JsonlReader(storage, file, content)

    def framed_reader(
        self,
        storage: Storage,
        file: FileInfo,
        content: Sequence[ContentColumn],
        cache_bytes: int,
        frames: npt.NDArray[np.int64],
    ) -> JsonlReader:
        """Open a compressed file of many frames; see `Framed.framed_reader`."""
        return JsonlReader(storage, file, content, cache_bytes, frames)

    def read(self, requests: Iterable[tuple[SampleReader, ReadRequest]]) -> pa.RecordBatch:
        """Samples of several files, decoded together; see `Format.read`."""
        return read(cast("Iterable[tuple[JsonlReader, ReadRequest]]", requests))

    def load(
        self, requests: Iterable[tuple[SampleReader, ReadRequest]], decoder: Executor
    ) -> Callable[[], pa.RecordBatch]:
        """The same, decoded by another thread; see `Staged.load`."""
        return load(cast("Iterable[tuple[JsonlReader, ReadRequest]]", requests), decoder)
