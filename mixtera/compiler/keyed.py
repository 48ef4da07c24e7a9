"""A table of others as an expression with the columns of the catalog: file_id, row, offset, length and properties.

What the catalog makes sure of when it is written is done by the engine here: types are cast, NaN is NULL, −0.0 is 0.0.
Lists stay as they are: a predicate asks what they hold, and a NULL holds nothing. What a row calls its file is looked
up in a small table of the catalog.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from mixtera.catalog.indexed import Keyed
from mixtera.contracts.properties import PropertyType

if TYPE_CHECKING:
    import ibis.expr.types as ir

POSITION: Final = ("file_id", "row")
BYTES: Final = ("offset", "length")
NAMES: Final = pa.schema([("path", pa.string()), ("file_id", pa.int64())])
"""The small table."""
RANKS: Final = pa.schema([("file_id", pa.int64()), ("row", pa.int64()), ("offset", pa.int64())])
"""Rows of records by their offsets, where a table does not number them."""
IBIS_TYPES: Final[Mapping[PropertyType, str]] = {
    "string": "string",
    "int64": "int64",
    "float64": "float64",
    "bool": "boolean",
    "date": "date",
    "timestamp": "timestamp('UTC', 6)",
    "list<string>": "array<string>",
    "list<int64>": "array<int64>",
    "list<float64>": "array<float64>",
}
_NAMED: Final = "_named"


def names_table(table: str) -> str:
    """Under which name an engine knows what a table calls its files."""
    return f"{table} files"


def ranks_table(table: str) -> str:
    """Under which name an engine knows which record of its file lies at which offset."""
    return f"{table} offsets"


def keyed_table(table: str, columns: Sequence[tuple[str, PropertyType]], keyed: Keyed) -> ir.Table:
    """The samples of a table of others, with some of their properties."""
    import ibis

    raw = ibis.table(ibis.Schema.from_pyarrow(keyed.schema), name=table)
    names = ibis.table(ibis.Schema.from_pyarrow(NAMES), name=names_table(table))
    keys = {name: raw[column].cast("int64") for name, column in keyed.keys.items() if name != "file"}
    values = {name: _value(raw[keyed.columns[name]], type_) for name, type_ in columns}
    own = raw.select(**{_NAMED: raw[keyed.keys["file"]].cast("string")}, **keys, **values)
    both = own.left_join(names.rename(_path="path"), [own[_NAMED] == names.rename(_path="path")["_path"]])
    found = both.select("file_id", *keys, *values)
    if not keyed.ranks:
        return found
    ranks = ibis.table(ibis.Schema.from_pyarrow(RANKS), name=ranks_table(table))
    ranks = ranks.rename(_file="file_id", _offset="offset")
    same = [found["file_id"] == ranks["_file"], found["offset"] == ranks["_offset"]]
    return found.left_join(ranks, same).select("file_id", "row", *keys, *values)


def _value(column: ir.Value, type_: PropertyType) -> ir.Value:
    """A column as the catalog would have it."""
    import ibis

    found = column.cast(IBIS_TYPES[type_])
    if type_ == "float64":
        return ibis.ifelse(found.isnan(), ibis.null("float64"), found + 0.0)
    return found
