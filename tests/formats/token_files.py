"""Writers of token files that share nothing with the code under test."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CODES = {"uint8": 1, "int8": 2, "int16": 3, "int32": 4, "int64": 5, "float64": 6, "float32": 7, "uint16": 8}


def write_megatron(
    path: Path,
    sequences: Sequence[Sequence[int]],
    document_ends: Sequence[int],
    kind: str = "uint16",
    modes: Sequence[int] | None = None,
) -> None:
    """A dataset as Megatron-LM's IndexedDatasetBuilder writes it: `path` is the .bin."""
    path.write_bytes(np.array([t for s in sequences for t in s], kind).tobytes())
    lengths = [len(s) for s in sequences]
    places = np.concatenate([[0], np.cumsum(lengths)])[: len(lengths)] * np.dtype(kind).itemsize
    path.with_suffix(".idx").write_bytes(
        b"MMIDIDX\x00\x00"
        + struct.pack("<QBQQ", 1, CODES[kind], len(lengths), len(document_ends))
        + np.array(lengths, "<i4").tobytes()
        + np.array(places, "<i8").tobytes()
        + np.array(document_ends, "<i8").tobytes()
        + (b"" if modes is None else np.array(modes, "<i1").tobytes())
    )


def as_documents(documents: Sequence[Sequence[int]]) -> list[int]:
    """Document ends where each document is one sequence."""
    return list(range(len(documents) + 1))
