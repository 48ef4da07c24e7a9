"""Arrow types of properties, and the rules that make all engines agree: no NaN, no −0.0, no NULL list or element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from mixtera.contracts.format import PropertyColumn
from mixtera.contracts.properties import PropertyType

ARROW_TYPES: Final[dict[PropertyType, pa.DataType]] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "list<string>": pa.list_(pa.string()),
    "list<int64>": pa.list_(pa.int64()),
    "list<float64>": pa.list_(pa.float64()),
}

INDEX_FIELDS: Final = (pa.field("row", pa.int64()), pa.field("offset", pa.int64()), pa.field("length", pa.int64()))
"""The columns of a scan's table that stand before the properties."""


def index_schema(properties: Sequence[PropertyColumn]) -> pa.Schema:
    """The schema of the index with some properties."""
    return pa.schema([*INDEX_FIELDS, *(pa.field(prop.name, ARROW_TYPES[prop.type]) for prop in properties)])


def clean(array: pa.Array) -> pa.Array:
    """The same values with NaN as NULL, −0.0 as 0.0, a NULL list as an empty one, and no NULL in a list."""
    if pa.types.is_list(array.type):
        return _clean_list(array)
    return _clean_floats(array) if pa.types.is_floating(array.type) else array


def _clean_floats(array: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    nan = pc.is_nan(array)
    found = pc.if_else(nan, pa.scalar(None, array.type), array) if pc.any(nan).as_py() else array
    if not pa.types.is_float64(found.type) or not pc.any(pc.equal(found, 0.0)).as_py():
        return found
    return pc.add(found, 0.0)  # −0.0 + 0.0 is 0.0: some engines tell the two apart


def _clean_list(array: pa.ListArray) -> pa.ListArray:
    import pyarrow.compute as pc

    values = clean(array.flatten())
    if not array.null_count and not values.null_count and not pa.types.is_floating(values.type):
        return array
    kept = values.is_valid()
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy()
    lists = np.repeat(np.arange(len(array)), lengths)[kept.to_numpy(zero_copy_only=False)]
    offsets = np.zeros(len(array) + 1, np.int32)
    np.cumsum(np.bincount(lists, minlength=len(array)), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), values.filter(kept), type=array.type)
