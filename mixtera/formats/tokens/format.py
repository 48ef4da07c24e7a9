"""The format of flat token files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Literal, cast

import pyarrow as pa

from mixtera.contracts.format import ContentColumn, Offsets, PropertyColumn, ReadRequest, SampleReader
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.formats.tokenfiles.content import TOKENS, infer
from mixtera.formats.tokenfiles.read import TokenFileReader, read
from mixtera.formats.tokenfiles.scan import TokenFile, TokenScan
from mixtera.formats.tokens.beside import beside_of
from mixtera.formats.tokens.documents import token_file
from mixtera.formats.tokens.head import boundaries_of, head_of
from mixtera.formats.tokens.options import Options, options_of

_KNOWN: Final = (TOKENS,)


class Tokens:
    """Numpy arrays and raw files of token ids."""

    name = "tokens"
    suffixes = (".npy", ".ds", ".u16", ".u32")
    offsets: Offsets = "exact"
    holds_tokens: Literal[True] = True

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()

    def configured(self, options: Mapping[str, str]) -> Tokens:
        """The format with options; see `Configurable.configured`."""
        return Tokens(options_of(options))

    def infer(
        self, storage: Storage, files: Sequence[FileInfo], paths: Mapping[str, str]
    ) -> dict[str, PropertyType | None]:
        """The types of properties: the number of tokens is one; see `Format.infer`."""
        return infer(paths, _KNOWN)

    def scan(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> TokenScan:
        """Read the index of one file; see `Format.scan`."""
        return TokenScan(file, properties, content, _KNOWN, lambda: self._opened(storage, file))

    def reader(
        self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn], cache_bytes: int
    ) -> TokenFileReader:
        """Open a file for reading chosen documents, and parts of them."""
        return TokenFileReader(storage, file, content, head_of(storage, file, self._options).kind)

    def read(self, requests: Iterable[tuple[SampleReader, ReadRequest]]) -> pa.RecordBatch:
        """The tokens of documents of several files; see `Format.read`."""
        return read(cast("Iterable[tuple[TokenFileReader, ReadRequest]]", requests))

    def beside(self, path: str) -> str | None:
        """Where the index or the table of a file lies; see `Accompanied`."""
        return beside_of(path, boundaries_of(path, self._options))

    @contextmanager
    def _opened(self, storage: Storage, file: FileInfo) -> Iterator[TokenFile]:
        yield token_file(storage, file, self._options)
