"""Arrow to and from the text of Postgres' COPY: whole columns at a time, in Arrow's own CSV."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

_WRITE: Final = csv.WriteOptions(include_header=False, quoting_style="needed")
_ESCAPES: Final = (("\\", "\\\\"), ('"', '\\"'))
"""What is escaped in an element of an array, the backslash first."""


def to_copy(batch: pa.RecordBatch) -> bytes:
    """Rows for `COPY … FROM STDIN (FORMAT csv)`: texts in quotes, so that an empty one is not NULL."""
    out = BytesIO()
    csv.write_csv(
        pa.RecordBatch.from_arrays([_flat(column) for column in batch.columns], batch.schema.names), out, _WRITE
    )
    return out.getvalue()


def _flat(column: pa.Array) -> pa.Array:
    """A column that CSV can hold: of a list, the array as Postgres writes it."""
    if not pa.types.is_list(column.type):
        return column
    texts = pa.ListArray.from_arrays(column.offsets, _elements(column.values))
    arrays = pc.binary_join_element_wise("{", pc.binary_join(texts, ","), "}", "")
    return arrays if not column.null_count else pc.if_else(column.is_null(), None, arrays)


def _elements(values: pa.Array) -> pa.Array:
    if not pa.types.is_string(values.type):
        return values.cast(pa.string()).fill_null("NULL")
    for plain, escaped in _ESCAPES:
        values = pc.replace_substring(values, plain, escaped)
    return pc.binary_join_element_wise('"', values, '"', "").fill_null("NULL")


def from_copy(text: bytes, schema: pa.Schema) -> list[pa.RecordBatch]:
    """Rows of `COPY … TO STDOUT (FORMAT csv)`; lists come as JSON."""
    types = {field.name: pa.string() if pa.types.is_list(field.type) else field.type for field in schema}
    table = csv.read_csv(
        BytesIO(text),
        csv.ReadOptions(column_names=schema.names),
        csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),  # a NULL alone is one
        csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    for place, field in enumerate(schema):
        if pa.types.is_list(field.type):
            table = table.set_column(place, field, _lists(table.column(place), field.type))
    return table.to_batches()  # type: ignore[no-any-return]


def _lists(column: pa.ChunkedArray, type_: pa.ListType) -> pa.Array:
    """Lists out of their JSON: only `mixtera catalog query` asks for them, for a few rows, and `… stats`."""
    made = float if pa.types.is_floating(type_.value_type) else lambda value: value
    return pa.array([None if text is None else [made(v) for v in _parsed(text)] for text in column.to_pylist()], type_)


def _parsed(text: str) -> list[Any]:
    found: list[Any] = json.loads(text)
    return found
