"""The WebDataset format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast

import pyarrow as pa

from mixtera.contracts.format import ContentColumn, PropertyColumn, ReadRequest, SampleReader
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.formats.webdataset.infer import infer
from mixtera.formats.webdataset.read import WebDatasetReader, read
from mixtera.formats.webdataset.scan import WebDatasetScan


class WebDataset:
    """Tars whose members of one key are a sample. Compression is told by the first bytes, not by the suffix."""

    name = "webdataset"
    suffixes = (".tar", ".tgz", ".tar.gz", ".tar.zst", ".tar.bz2", ".tar.xz")
    offsets: Literal["always", "never"] = "always"

    def infer(
        self, storage: Storage, files: Sequence[FileInfo], paths: Mapping[str, str]
    ) -> dict[str, PropertyType | None]:
        """Guess the type of each property from the first samples of some files; see `Format.infer`."""
        return infer(storage, files, paths)

    def scan(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> WebDatasetScan:
        """Read the index of one file; see `Format.scan`."""
        return WebDatasetScan(storage, file, properties, content)

    def reader(
        self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn], cache_bytes: int
    ) -> WebDatasetReader:
        """Open a file for reading chosen samples; a compressed one is decompressed once, into a temporary file."""
        return WebDatasetReader(storage, file, content)

    def read(self, requests: Iterable[tuple[SampleReader, ReadRequest]]) -> pa.RecordBatch:
        """Samples of several files, one request after the other; see `Format.read`."""
        return read(cast("Iterable[tuple[WebDatasetReader, ReadRequest]]", requests))
