"""Arrow ⇄ numpy for plain columns, over their buffers.

`pyarrow.array` and `to_numpy` import pandas where it is installed: 0.1 s and 40 MB that a stream has no use for. And
strings are joined here in half the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_TYPES: Final = {
    np.dtype(kind): arrow
    for kind, arrow in {
        "i1": pa.int8(),
        "i2": pa.int16(),
        "i4": pa.int32(),
        "i8": pa.int64(),
        "u1": pa.uint8(),
        "u2": pa.uint16(),
        "u4": pa.uint32(),
        "u8": pa.uint64(),
        "f4": pa.float32(),
        "f8": pa.float64(),
    }.items()
}
_KINDS: Final = {arrow: kind for kind, arrow in _TYPES.items()}
_Values = TypeVar("_Values", pa.Array, pa.RecordBatch)
_STRING_BYTES: Final = 2**31 - 1
"""Bytes that the offsets of `string` reach."""


def from_numpy(values: npt.NDArray[np.generic]) -> pa.Array:
    """Numbers as an Arrow array that shares their memory."""
    whole = np.ascontiguousarray(values)
    return pa.Array.from_buffers(_TYPES[whole.dtype], len(whole), [None, pa.py_buffer(whole)])


def pooled(size: int) -> npt.NDArray[np.uint8]:
    """Memory for so many bytes, out of Arrow's pool, which keeps what is given back for a second.

    Numpy's goes back to the system with each array of a few megabytes and comes again page by page, or stays with the
    thread that had it: for rows of tokens that took a quarter of the processor time, for images from S3 memory.
    """
    return np.frombuffer(pa.allocate_buffer(size), np.uint8) if size else np.empty(0, np.uint8)


def is_plain(array: pa.Array) -> bool:
    """Whether an array is of numbers that `to_numpy` can take: no nulls, no bits."""
    return array.type in _KINDS and array.null_count == 0


def to_numpy(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.generic]:
    """Numbers without nulls as numpy: a read-only view of an array or of a single chunk, else a copy."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    kind = _KINDS[column.type]
    parts = [_view(chunk, kind) for chunk in chunks]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, kind)


def to_python(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The values of a column as Python has them; all as text where it has not some of the dates or times."""
    try:
        return cast("list[Any]", column.to_pylist())
    except OverflowError:
        return cast("list[Any]", column.cast(pa.string()).to_pylist())


def take(values: _Values, places: npt.NDArray[np.integer[Any]]) -> _Values:
    """`values.take(places)`, which would import `pyarrow.compute`: 30 ms for one of its many functions.

    Lists of numbers are taken as the bytes that they are: Arrow takes them number by number, in five times the time.
    """
    if isinstance(values, pa.RecordBatch):
        if any(map(_is_list_of_numbers, values.columns)):
            return pa.RecordBatch.from_arrays([take(column, places) for column in values.columns], schema=values.schema)
    elif _is_list_of_numbers(values):
        taken = take(_as_bytes(values), places)
        width = values.type.value_type.bit_width // 8
        edges = np.frombuffer(taken.buffers()[1], np.int64)[taken.offset : taken.offset + len(taken) + 1]
        numbers = pa.Array.from_buffers(values.type.value_type, int(edges[-1]) // width, [None, taken.buffers()[2]])
        return pa.Array.from_buffers(values.type, len(taken), [None, pa.py_buffer(edges // width)], children=[numbers])
    return cast("_Values", _call_function()("take", [values, from_numpy(places)]))


def _is_list_of_numbers(array: pa.Array) -> bool:
    return pa.types.is_large_list(array.type) and array.null_count == 0 and is_plain(array.values)


def _as_bytes(array: pa.Array) -> pa.LargeBinaryArray:
    """Lists of numbers as byte strings, in the same memory."""
    width, numbers = array.type.value_type.bit_width // 8, array.values
    edges = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    offsets = pa.py_buffer((edges + numbers.offset) * width)
    return pa.Array.from_buffers(pa.large_binary(), len(array), [None, offsets, numbers.buffers()[1]])


def encoded(values: pa.Array) -> pa.DictionaryArray:
    """`values.dictionary_encode()`, which would import `pyarrow.compute` likewise."""
    return _call_function()("dictionary_encode", [values])


@cache
def _call_function() -> Callable[..., Any]:
    try:
        from pyarrow._compute import call_function
    except ImportError:  # where it lies is not promised; what is, is slower to import
        from pyarrow.compute import call_function
    return cast("Callable[..., Any]", call_function)


def strings(values: Sequence[str]) -> pa.Array:
    """Strings as an Arrow array: `string`, or `large_string` where they need more than 2 GiB."""
    encoded = [value.encode() for value in values]
    stops = np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))
    large = bool(len(stops)) and int(stops[-1]) > _STRING_BYTES
    offsets = np.zeros(len(encoded) + 1, np.int64 if large else np.int32)
    offsets[1:] = stops
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string() if large else pa.string(), len(encoded), buffers)


def large_binary(*values: bytes) -> pa.LargeBinaryArray:
    """Byte strings as an Arrow array; for a few of them."""
    edges = np.cumsum([0, *map(len, values)], dtype=np.int64)
    buffers = [None, pa.py_buffer(edges), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.large_binary(), len(values), buffers)


def _view(array: pa.Array, kind: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    if not len(array):
        return np.empty(0, kind)
    return np.frombuffer(array.buffers()[1], kind, len(array), array.offset * kind.itemsize)
