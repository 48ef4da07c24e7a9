"""Values that are not what their type says: texts that are not UTF-8, which pyarrow delivers as they are."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mixtera.contracts.storage import FileInfo
from mixtera.errors import SampleError


def holds_text(found: pa.DataType) -> bool:
    """Whether values of a type are texts, or hold some."""
    if pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found):
        return True
    if pa.types.is_dictionary(found):
        return holds_text(found.value_type)
    return any(holds_text(found.field(number).type) for number in range(found.num_fields))


def is_sound(values: pa.Array) -> bool:
    """Whether all values are what their type says."""
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def unsound(values: pa.Array, first: int = 0) -> list[int]:
    """Places of the values that are not, counted from `first`; by halving."""
    if is_sound(values):
        return []
    if len(values) == 1:
        return [first]
    half = len(values) // 2
    # a slice of a list is checked with all elements of the whole
    low, high = (pa.concat_arrays([part]) for part in (values[:half], values[half:]))
    return unsound(low, first) + unsound(high, first + half)


def without(values: pa.Array, rows: Collection[int]) -> pa.Array:
    """The values, with NULL in some rows."""
    if not rows:
        return values
    good = np.ones(len(values), np.bool_)
    good[list(rows)] = False
    return pc.if_else(pa.array(good), values, pa.scalar(None, values.type))


def refuse_unsound(file: FileInfo, batch: pa.RecordBatch, rows: npt.NDArray[np.int64]) -> None:
    """Refuse content that is text by its type, and not valid UTF-8.

    Raises:
        SampleError: Names the row.
    """
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if bad := unsound(array) if holds_text(array.type) else []:  # a date of 64 bits may be no whole day
            raise SampleError(
                f"{file.url}, row {rows[bad[0]]}: content column {name!r} is not valid UTF-8: write the text again as "
                "UTF-8, or the column as binary"
            )
