"""Documents → the files of a source: JSONL, compressed JSONL, Parquet; one kind of document is one of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from mixtera.demo.documents import Document
from mixtera.demo.kinds import KINDS, Kind

PART_BYTES: Final = 12_000_000
"""Text in one file."""
FRAME_BYTES: Final = 1 << 20
"""Text in one zstd frame: a reader can start at any of them."""
GROUP_ROWS: Final = 512
"""Rows of a Parquet row group."""

_PARQUET: Final = pa.schema(
    [
        ("content", pa.string()),
        ("path", pa.string()),
        ("kind", pa.string()),
        ("language", pa.string()),
        ("package", pa.string()),
        ("license", pa.string()),
        ("topics", pa.list_(pa.string())),
        ("bytes", pa.int64()),
        ("year", pa.int64()),
    ]
)


class PartWriter(ABC):
    """Writes documents to `part-000…`, `part-001…`, a new one when the text in it has reached `PART_BYTES`."""

    suffix: str

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._pending: list[Document] = []
        self._pending_bytes = 0
        self._parts = 0

    @final
    def add(self, document: Document) -> None:
        """Take one document."""
        self._pending.append(document)
        self._pending_bytes += document.bytes
        if self._pending_bytes >= PART_BYTES:
            self.finish()

    @final
    def finish(self) -> None:
        """Write what is pending."""
        if self._pending:
            self._write(self._directory / f"part-{self._parts:03d}{self.suffix}", self._pending)
            self._parts += 1
            self._pending, self._pending_bytes = [], 0

    @abstractmethod
    def _write(self, path: Path, documents: list[Document]) -> None: ...


@final
class JsonlWriter(PartWriter):
    """One JSON object a line: `text`, and the properties below `meta`."""

    suffix = ".jsonl"

    def _write(self, path: Path, documents: list[Document]) -> None:
        with path.open("wb") as out:
            out.writelines(map(_line, documents))


@final
class CompressedJsonlWriter(PartWriter):
    """The same lines, in zstd frames of about a mebibyte of whole lines each."""

    suffix = ".jsonl.zst"

    def _write(self, path: Path, documents: list[Document]) -> None:
        compressor = zstandard.ZstdCompressor(level=3)
        with path.open("wb") as out:
            frame = bytearray()
            for line in map(_line, documents):
                frame += line
                if len(frame) >= FRAME_BYTES:
                    out.write(compressor.compress(bytes(frame)))
                    frame.clear()
            if frame:
                out.write(compressor.compress(bytes(frame)))


@final
class ParquetWriter(PartWriter):
    """One row a document, with a flat column per property; the text is the column `content`."""

    suffix = ".parquet"

    def _write(self, path: Path, documents: list[Document]) -> None:
        columns = {name: [getattr(d, name) for d in documents] for name in _PARQUET.names if name != "content"}
        table = pa.table({"content": [d.text for d in documents], **columns}, schema=_PARQUET)
        pq.write_table(table, path, compression="zstd", row_group_size=GROUP_ROWS)


def _line(document: Document) -> bytes:
    meta = {
        "path": document.path,
        "kind": document.kind,
        "language": document.language,
        "package": document.package,
        "license": document.license,
        "topics": document.topics,
        "bytes": document.bytes,
        "year": document.year,
    }
    return msgspec.json.encode({"text": document.text, "meta": meta}) + b"\n"


WRITERS: Final[dict[Kind, Callable[[Path], PartWriter]]] = {
    "source": JsonlWriter,
    "header": ParquetWriter,
    "license": CompressedJsonlWriter,
    "documentation": CompressedJsonlWriter,
    "metadata": ParquetWriter,
}
"""Which format each kind is written in, so that the demo meets all of them."""


def write(directory: Path, documents: Iterable[Document]) -> dict[Kind, int]:
    """Write each kind to its folder below `directory`; returns the documents per kind."""
    writers = {kind: WRITERS[kind](directory / kind) for kind in KINDS}
    counts: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    for document in documents:
        writers[document.kind].add(document)
        counts[document.kind] += 1
    for writer in writers.values():
        writer.finish()
    return counts
