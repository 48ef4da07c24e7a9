"""Casts that name the rows they fail for, instead of failing for the file."""

from __future__ import annotations

import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mixtera.formats.columnar.schema import is_list, plain_type
from mixtera.formats.columnar.sound import holds_text, unsound, without
from mixtera.formats.values import ARROW_TYPES, clean

Rows = npt.NDArray[np.int64]

_FIRST_DAY: Final = (datetime.date(1, 1, 1) - datetime.date(1970, 1, 1)).days
_LAST_DAY: Final = (datetime.date(9999, 12, 31) - datetime.date(1970, 1, 1)).days
_DAY: Final = 24 * 60 * 60 * 1_000_000
_TIMES: Final = {
    ARROW_TYPES["date"]: (pa.int32(), _FIRST_DAY, _LAST_DAY),
    ARROW_TYPES["timestamp"]: (pa.int64(), _FIRST_DAY * _DAY, (_LAST_DAY + 1) * _DAY - 1),
}
"""Per type its whole numbers, and those of the first and the last moment of the years 1 to 9999."""


def convert(array: pa.Array, target: pa.DataType) -> tuple[pa.Array, Rows]:
    """Cast values to a property's type.

    Returns:
        The values, NULL where the cast fails, a text is not UTF-8 or a time is beyond the years 1 to 9999, and the
        places where it is so, ascending.
    """
    prepared = _prepared(array)
    bad = unsound(prepared) if holds_text(prepared.type) else []
    good = without(prepared, bad)
    try:
        cast = _cast(good, target)
    except pa.ArrowInvalid:
        bad += _failing(good, target, 0)
        cast = _cast(without(good, bad), target)
    if beyond := _beyond(cast):
        bad, cast = bad + beyond, without(cast, beyond)
    return clean(cast), np.array(sorted(bad), np.int64)


def _beyond(values: pa.Array) -> list[int]:
    """Places of dates and times that Python, ISO 8601 and some engines do not have: the unit of a file may be wrong."""
    if values.type not in _TIMES:
        return []
    whole, first, last = _TIMES[values.type]
    numbers = values.view(whole)
    if not pc.any(pc.or_(pc.less(numbers, first), pc.greater(numbers, last))).as_py():
        return []
    outside = pc.fill_null(pc.or_(pc.less(numbers, first), pc.greater(numbers, last)), False)
    return [int(place) for place in np.flatnonzero(outside.to_numpy(zero_copy_only=False))]


def _prepared(array: pa.Array) -> pa.Array:
    """Plain values, NaN as NULL."""
    if is_list(array.type):
        value_type = plain_type(array.type.value_type)
        return clean(array.cast(pa.list_(value_type)))
    return clean(array.cast(plain_type(array.type)))


def _cast(array: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(array.type) and pa.types.is_timestamp(target):
        return pc.cast(array, options=pc.CastOptions(target_type=target, allow_time_truncate=True))
    if pa.types.is_string(array.type) and pa.types.is_timestamp(target):
        return _parsed(array, target)
    return array.cast(target)


def _parsed(array: pa.StringArray, target: pa.TimestampType) -> pa.Array:
    """Timestamps from ISO strings: with a zone as it says, without one in UTC."""
    zoned = pc.match_substring_regex(array, r"(Z|z|[+-]\d\d:?\d\d)$")
    zoned = pc.and_(zoned, pc.match_substring(array, ":"))
    nothing = pa.scalar(None, array.type)
    aware = pc.if_else(zoned, array, nothing).cast(target)
    naive = pc.if_else(zoned, nothing, array).cast(pa.timestamp(target.unit)).cast(target)
    return pc.coalesce(aware, naive)


def _failing(array: pa.Array, target: pa.DataType, first: int) -> list[int]:
    """Places of the values that cannot be cast, by halving; `take` since a slice of a list is cast as a whole."""
    try:
        _cast(array.take(pa.array(range(len(array)), pa.int64())), target)
    except pa.ArrowInvalid:
        if len(array) == 1:
            return [first]
        half = len(array) // 2
        return _failing(array[:half], target, first) + _failing(array[half:], target, first + half)
    return []
