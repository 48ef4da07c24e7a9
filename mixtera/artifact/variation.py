"""The variation of an order on disk: a few numbers in plan.json, and flat files beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from mixtera.mapped import Column
from mixtera.order.leftout import LeftOut
from mixtera.order.permute import PLAIN, Variation
from mixtera.order.places import Start
from mixtera.order.seats import Int64s

Array: TypeAlias = npt.NDArray[Any]

_NARROW: Final = np.iinfo(np.uint32).max


class Summary(msgspec.Struct, frozen=True):
    """What plan.json says of a variation; the rest lies in files of their own, where there is any.

    Attributes:
        in_file_order: Components that are not shuffled.
        sequences: Component and length of each sequence, in the order in which they lie in the file.
        start: First epoch, cursor and length of the head of each component; None for a plan that continues no other.
        component_keys: What the keys of components are made of; None for their numbers.
    """

    in_file_order: tuple[int, ...] = ()
    sequences: tuple[tuple[int, int], ...] = ()
    start: tuple[tuple[int, int, int], ...] | None = None
    component_keys: tuple[int, ...] | None = None


def write(directory: Path, variation: Variation) -> Summary | None:
    """Write the arrays of a variation to an existing directory; returns what plan.json has to say. None: plain."""
    if variation.is_plain:
        return None
    for name, left_out in (("excluded", variation.excluded), ("delivered", variation.delivered)):
        if left_out is not None:
            _write(directory / f"{name}.bits", left_out.bits[:], "u1")
            _write(directory / f"{name}.i32", left_out.count, "<i4")
    sequences = sorted(variation.sequences.items())
    if sequences:
        joined = np.concatenate([values for _, values in sequences])
        wide = len(joined) > 0 and int(joined.max()) > _NARROW
        _write(directory / f"sequences.{'u64' if wide else 'u32'}", joined, "<u8" if wide else "<u4")
    if variation.start is not None:
        _write(directory / "head.i64", variation.start.head, "<i8")
    for name, keys in (("segment", variation.segment_keys), ("group", variation.group_keys)):
        if keys is not None:
            _write(directory / f"{name}_keys.i64", keys, "<i8")
    return _summary(variation)


def _summary(variation: Variation) -> Summary:
    start = variation.start
    columns = () if start is None else (start.first_epoch, start.cursor, start.head_sizes)
    keys = variation.component_keys
    return Summary(
        in_file_order=tuple(sorted(variation.in_file_order)),
        sequences=tuple((component, len(values)) for component, values in sorted(variation.sequences.items())),
        start=None if start is None else tuple(zip(*(column.tolist() for column in columns), strict=True)),
        component_keys=None if keys is None else tuple(keys.tolist()),
    )


def read(
    directory: Path,
    summary: Summary | None,
    mapped: Callable[[Path, str], Array],
    column: Callable[[Path, str], Column],
) -> Variation:
    """The variation of a plan on disk.

    Args:
        directory: The plan's.
        summary: What plan.json says.
        mapped: Opens a flat file by memory map.
        column: Opens one that may come in pages.
    """
    if summary is None:
        return PLAIN
    keys = summary.component_keys
    return Variation(
        in_file_order=frozenset(summary.in_file_order),
        sequences=_sequences(directory, summary, mapped),
        excluded=_left_out(directory, "excluded", mapped, column),
        delivered=_left_out(directory, "delivered", mapped, column),
        start=None if summary.start is None else _start(directory, summary.start, mapped),
        component_keys=None if keys is None else np.array(keys, np.int64),
        segment_keys=_optional(directory / "segment_keys.i64", "<i8", mapped),
        group_keys=_optional(directory / "group_keys.i64", "<i8", mapped),
    )


def _sequences(directory: Path, summary: Summary, mapped: Callable[[Path, str], Array]) -> dict[int, Array]:
    if not summary.sequences:
        return {}
    wide = (directory / "sequences.u64").exists()
    joined = mapped(directory / f"sequences.{'u64' if wide else 'u32'}", "<u8" if wide else "<u4")
    ends = np.cumsum([length for _, length in summary.sequences]).tolist()
    return {
        component: joined[end - length : end] for (component, length), end in zip(summary.sequences, ends, strict=True)
    }


def _left_out(
    directory: Path, name: str, mapped: Callable[[Path, str], Array], column: Callable[[Path, str], Column]
) -> LeftOut | None:
    path = directory / f"{name}.bits"
    return (
        None
        if not path.exists()
        else LeftOut(column(path, "u1"), mapped(directory / f"{name}.i32", "<i4").astype(np.int64))
    )


def _start(directory: Path, columns: tuple[tuple[int, int, int], ...], mapped: Callable[[Path, str], Array]) -> Start:
    first_epoch, cursor, head_sizes = np.array(columns, np.int64).reshape(-1, 3).T
    head: Int64s = mapped(directory / "head.i64", "<i8")
    return Start(first_epoch, cursor, head, head_sizes)


def _optional(path: Path, dtype: str, mapped: Callable[[Path, str], Array]) -> Array | None:
    return mapped(path, dtype) if path.exists() else None


def _write(path: Path, values: Array, dtype: str) -> None:
    with path.open("wb") as sink:
        sink.write(np.ascontiguousarray(values, dtype).data)
