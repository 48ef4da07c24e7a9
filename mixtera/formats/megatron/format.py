"""The format of Megatron's indexed datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Literal, cast

import pyarrow as pa

from mixtera.contracts.format import ContentColumn, Offsets, PropertyColumn, ReadRequest, SampleReader
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import PluginError
from mixtera.formats.megatron.documents import DOCUMENTS, KNOWN, SEQUENCES, token_file
from mixtera.formats.megatron.index import MegatronIndex, beside
from mixtera.formats.opening import open_unchanged
from mixtera.formats.tokenfiles.content import infer
from mixtera.formats.tokenfiles.read import TokenFileReader, read
from mixtera.formats.tokenfiles.scan import TokenFile, TokenScan

_ROWS: Final = "rows"


class Megatron:
    """Indexed datasets: a document is a sample."""

    name = "megatron"
    suffixes = (".bin",)
    offsets: Offsets = "exact"
    holds_tokens: Literal[True] = True

    def __init__(self, rows: str = DOCUMENTS) -> None:
        self._rows = rows

    def configured(self, options: Mapping[str, str]) -> Megatron:
        """The format with `rows` as documents or sequences; see `Configurable.configured`."""
        for name in options:
            if name != _ROWS:
                raise PluginError(f"the format 'megatron' has no option {name!r}; it has {_ROWS!r}")
        rows = options.get(_ROWS, DOCUMENTS)
        if rows not in (DOCUMENTS, SEQUENCES):
            raise PluginError(f"rows: {rows!r} is not allowed; allowed: {DOCUMENTS}, {SEQUENCES}")
        return Megatron(rows)

    def infer(
        self, storage: Storage, files: Sequence[FileInfo], paths: Mapping[str, str]
    ) -> dict[str, PropertyType | None]:
        """The types of properties: all are numbers; see `Format.infer`."""
        return infer(paths, KNOWN)

    def scan(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> TokenScan:
        """Read the index of one file; see `Format.scan`."""
        return TokenScan(file, properties, content, KNOWN, lambda: self._opened(storage, file))

    def reader(
        self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn], cache_bytes: int
    ) -> TokenFileReader:
        """Open a file for reading chosen documents, and parts of them."""
        index = MegatronIndex(storage, file)
        index.close()
        return TokenFileReader(storage, file, content, index.kind)

    def read(self, requests: Iterable[tuple[SampleReader, ReadRequest]]) -> pa.RecordBatch:
        """The tokens of documents of several files; see `Format.read`."""
        return read(cast("Iterable[tuple[TokenFileReader, ReadRequest]]", requests))

    def beside(self, path: str) -> str | None:
        """The `.idx` of a `.bin`; see `Accompanied`."""
        return beside(path)

    @contextmanager
    def _opened(self, storage: Storage, file: FileInfo) -> Iterator[TokenFile]:
        with open_unchanged(storage, file):
            index = MegatronIndex(storage, file)
        try:
            yield token_file(index, file, self._rows)
        finally:
            index.close()
