"""Values of a property, as the decoder has made them, to Arrow.

`pyarrow.array` would do it too, but imports pandas where that is installed, for 0.15 s in each process.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.contracts.properties import PropertyType
from mixtera.formats.values import ARROW_TYPES

_STRING_BYTES: Final = 2**31 - 1
"""Bytes that the offsets of `string` reach."""

_NUMBERS: Final = {"int64": np.dtype(np.int64), "float64": np.dtype(np.float64)}

Values = list[Any]


def property_array(values: Values, type_: PropertyType) -> pa.Array:
    """The values of a property as an Arrow array; no list is null, and none has a null in it.

    Args:
        values: What the decoder made of a field of this type; None where it is missing.
        type_: The property's type.
    """
    if type_.startswith("list<"):
        return _lists(values, type_)
    if type_ == "string":
        return _strings(values)
    if type_ in _NUMBERS:
        return _numbers(values, _NUMBERS[type_])
    return pa.array(values, ARROW_TYPES[type_])


def _numbers(values: Values, kind: np.dtype[Any]) -> pa.Array:
    """Integers, or floats that are not NaN: numpy takes a None among floats for one. −0.0 becomes 0.0."""
    try:
        numbers = np.array(values, kind)
    except TypeError:  # a None
        numbers = np.fromiter((0 if value is None else value for value in values), kind, len(values))
    if kind.kind == "f":
        numbers += 0.0
    whole = from_numpy(numbers)
    if None not in values:
        return whole
    return pa.Array.from_buffers(whole.type, len(values), [_validity(values), whole.buffers()[1]])


def _strings(values: Values) -> pa.Array:
    try:
        return _joined(values, None, values)
    except TypeError:  # a None
        return _joined(["" if value is None else value for value in values], _validity(values), values)


def _joined(texts: Sequence[str], validity: pa.Buffer | None, values: Values) -> pa.Array:
    data = "".join(texts).encode()
    if len(data) > _STRING_BYTES:
        return pa.array(values, pa.string())
    offsets = _offsets(texts, len(data))
    return pa.Array.from_buffers(pa.string(), len(texts), [validity, pa.py_buffer(offsets), pa.py_buffer(data)])


def _offsets(texts: Sequence[str], size: int) -> npt.NDArray[np.int32]:
    """Where each text begins when all are joined, and their `size`; in bytes."""
    offsets = np.zeros(len(texts) + 1, np.int32)
    apart = np.frombuffer("\0".join(texts).encode(), np.uint8)
    ends = np.flatnonzero(apart == 0)
    if len(ends) == len(texts) - 1:  # so the zeros are those between texts; twice as fast as to ask each for its length
        offsets[1:-1] = ends - np.arange(len(ends))
        offsets[-1] = size
    else:
        np.cumsum(np.fromiter((len(text.encode()) for text in texts), np.int32, len(texts)), out=offsets[1:])
    return offsets


def _lists(values: Values, type_: PropertyType) -> pa.Array:
    lists: Sequence[Values] = [value or [] for value in values]
    elements = list(chain.from_iterable(lists))
    if None in elements:
        lists = [[element for element in one if element is not None] for one in lists]
        elements = list(chain.from_iterable(lists))
    offsets = np.zeros(len(lists) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, lists), np.int32, len(lists)), out=offsets[1:])
    inner = _strings(elements) if type_ == "list<string>" else _numbers(elements, _NUMBERS[type_[5:-1]])
    return pa.Array.from_buffers(ARROW_TYPES[type_], len(lists), [None, pa.py_buffer(offsets)], children=[inner])


def _validity(values: Values) -> pa.Buffer:
    valid: npt.NDArray[np.bool_] = np.fromiter((value is not None for value in values), np.bool_, len(values))
    return pa.py_buffer(np.packbits(valid, bitorder="little"))
