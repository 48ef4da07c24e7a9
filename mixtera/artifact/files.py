"""The flat files of a plan: tables and arrays that open by memory map, and how a damaged one is noticed."""

from __future__ import annotations

import io
import os
import zlib
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.errors import PlanError, StorageError
from mixtera.mapped import Column, steps

_SAMPLE_BYTES: Final = 1 << 14
_SAMPLES: Final = 64


class Mark(msgspec.Struct, frozen=True):
    """How a file of the plan is recognised: its size, and a checksum of pieces spread over it."""

    bytes: int
    checksum: int


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as an Arrow file."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())


def write_array(path: Path, values: Column, dtype: str) -> None:
    """Write the values of an array, part by part."""
    with path.open("wb") as sink:
        for part in steps(values):
            sink.write(np.ascontiguousarray(part, dtype).data)


def damaged(where: str | Path, reason: str) -> PlanError:
    """The error of a plan that is not as it was written."""
    return PlanError(f"the plan {where} is damaged: {reason}; copy it again, or compile the spec again")


def mark_of(path: Path) -> Mark:
    """The mark of a file."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return Mark(size, _checksum(file, size))


def _checksum(file: io.BufferedReader, size: int) -> int:
    """CRC-32 of at most `_SAMPLES` pieces spread evenly over the file, its first and last bytes among them."""
    last = max(size - _SAMPLE_BYTES, 0)
    value = 0
    for place in sorted({last * piece // (_SAMPLES - 1) for piece in range(_SAMPLES)}):
        file.seek(place)
        value = zlib.crc32(file.read(_SAMPLE_BYTES), value)
    return value


def check_file(path: Path, mark: Mark, sampled: bool) -> None:
    """Compare a file with its mark.

    Args:
        path: The file.
        mark: What it was.
        sampled: Whether its content is looked at, too; else its size alone.

    Raises:
        PlanError: It is another one, or missing.
        StorageError: It cannot be read.
    """
    try:
        found = mark_of(path) if sampled else Mark(path.stat().st_size, mark.checksum)
    except FileNotFoundError:
        raise damaged(path.parent, f"{path.name} is missing") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}") from error
    if found.bytes != mark.bytes:
        raise damaged(path.parent, f"{path.name} has {found.bytes:,} bytes instead of {mark.bytes:,}")
    if found.checksum != mark.checksum:
        raise damaged(path.parent, f"{path.name} was changed")


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """Open a table by memory map.

    Raises:
        PlanError: It is damaged, or has other columns.
    """
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except pa.ArrowInvalid as error:
        raise damaged(path.parent, f"{path.name}: {error}") from error
    if table.schema != schema:
        raise damaged(path.parent, f"{path.name} has other columns than a plan's")
    return table


def map_array(path: Path, dtype: str) -> npt.NDArray[Any]:
    """Open an array by memory map."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype)
    return np.asarray(np.memmap(path, dtype, mode="r"))
