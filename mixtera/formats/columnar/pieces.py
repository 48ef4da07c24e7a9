"""A piece of the index of a file of columns: rows, properties, and what is wrong with some of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.contracts.format import BadSample, PropertyColumn, ScanBatch
from mixtera.contracts.storage import FileInfo
from mixtera.errors import SampleError
from mixtera.formats.columnar.convert import convert
from mixtera.formats.columnar.schema import Column, values_of
from mixtera.formats.values import ARROW_TYPES, clean

_SHOWN: Final = 60
_EXCERPT: Final = 80


def null_reasons(batch: pa.RecordBatch, content: Sequence[Column], reasons: dict[int, str]) -> None:
    """Add why some rows cannot be used: their content is NULL."""
    for column in content:
        for row in np.flatnonzero(values_of(batch, column).is_null().to_numpy(zero_copy_only=False)).tolist():
            reasons.setdefault(row, f"content column {'.'.join(column.keys)!r} is NULL")


def property_values(prop: PropertyColumn, values: pa.Array | None, count: int, reasons: dict[int, str]) -> pa.Array:
    """The values of a property in its type; rows where they do not convert are added to `reasons`.

    Args:
        prop: The property.
        values: As the file has them; None where it lacks the column.
        count: Rows.
        reasons: Row → why it cannot be used.
    """
    target = ARROW_TYPES[prop.type]
    if values is None:
        return clean(pa.nulls(count, target))
    converted, failing = convert(values, target)
    for row in failing.tolist():
        said = f"expected {prop.type}, got {shown_value(values[row])}"
        reasons.setdefault(row, f"property {prop.name!r} ({prop.path}): {said}")
    return converted


def shown_value(value: pa.Scalar) -> str:
    """The beginning of a value as text, also of one that Python cannot have."""
    try:
        return str(value.as_py())[:_SHOWN]
    except UnicodeDecodeError:
        return "text that is not valid UTF-8"
    except (OverflowError, ValueError):
        units = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
        unit = units[value.type.unit] if pa.types.is_timestamp(value.type) else "days"
        return f"{value.value:,} {unit} after 1970, beyond the years 1 to 9999"


def piece(
    schema: pa.Schema,
    first: int,
    count: int,
    arrays: Sequence[pa.Array],
    reasons: Mapping[int, str],
    bytes_read: int,
    read: pa.RecordBatch | None = None,
) -> ScanBatch:
    """A piece of the index; rows with a reason are bad samples and not in its table.

    Args:
        schema: Of the index.
        first: Number of the piece's first row in the file.
        count: Rows.
        arrays: Values of each property.
        reasons: Row in the piece → why it cannot be used.
        bytes_read: Bytes of the file behind it.
        read: What was read of these rows, to show the beginning of those that cannot be used.
    """
    nothing = pa.nulls(count, pa.int64())
    rows = from_numpy(np.arange(first, first + count))
    table = pa.RecordBatch.from_arrays([rows, nothing, nothing, *arrays], schema=schema)
    if reasons:
        kept = np.ones(count, np.bool_)
        kept[list(reasons)] = False
        table = table.filter(pa.array(kept))
    bad = tuple(
        BadSample(first + row, -1, reasons[row], "" if read is None else excerpt(read, row)) for row in sorted(reasons)
    )
    return ScanBatch(table, bad, bytes_read)


def excerpt(read: pa.RecordBatch, row: int) -> str:
    """The beginning of what was read of a row, as JSON."""
    values = {name: _shown(array, row) for name, array in zip(read.schema.names, read.columns, strict=True)}
    return json.dumps(values, ensure_ascii=False, default=str)[:_EXCERPT]


def _shown(array: pa.Array, row: int) -> object:
    """A value, cut short where it is long; text that is not UTF-8 with replacements."""
    try:
        value = array[row].as_py()
    except (OverflowError, ValueError) as error:
        if not isinstance(error, UnicodeDecodeError):
            return "beyond the years 1 to 9999"
        kinds = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
        value = array.view(kinds[array.type])[row].as_py() if array.type in kinds else "not valid UTF-8"
    if isinstance(value, bytes):
        value = value[:_SHOWN].decode("utf-8", "replace")
    return value[:_SHOWN] if isinstance(value, str) else value


def refuse_nulls(file: FileInfo, batch: pa.RecordBatch, rows: npt.NDArray[np.int64]) -> None:
    """Refuse content that is NULL although the index has found none.

    Raises:
        SampleError: Names the row.
    """
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if array.null_count:
            row = rows[np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0]]
            raise SampleError(
                f"{file.url}, row {row}: content column {name!r} is NULL; the file changed since it was "
                "indexed: index it again"
            )
