"""Columns of the catalog as schemas of Iceberg tables, and how a table gets others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as with_fields
from typing import TYPE_CHECKING, Final

from pyiceberg.schema import Schema
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    ListType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from mixtera.catalog.columns import Column
from mixtera.contracts.properties import PropertyType

if TYPE_CHECKING:
    from pyiceberg.table import Table, Transaction

_TYPES: Final[Mapping[str, IcebergType]] = {
    "string": StringType(),
    "int64": LongType(),
    "float64": DoubleType(),
    "bool": BooleanType(),
    "date": DateType(),
    "timestamp": TimestamptzType(),
}


def evolved(table: Table, columns: Sequence[Column]) -> tuple[Transaction, tuple[Column, ...]]:
    """Open a transaction in which a table has these columns; columns of the same name and type keep their field ids.

    Returns:
        The transaction, and the columns with their field ids.
    """
    have = {field.name: field.field_type for field in table.schema().fields}
    wanted = {column.name: column for column in columns}
    gone = [name for name, type_ in have.items() if name not in wanted or _name_of(type_) != wanted[name].type]
    fresh = [column for column in columns if column.name in gone or column.name not in have]
    transaction = table.transaction()
    if gone:
        with transaction.update_schema(allow_incompatible_changes=True) as update:
            for name in gone:
                update.delete_column((name,))
    if fresh:
        with transaction.update_schema() as update:
            for column in fresh:
                update.add_column((column.name,), _iceberg(column.type))
    return transaction, with_field_ids(columns, transaction.table_metadata.schema())


def with_field_ids(columns: Sequence[Column], schema: Schema) -> tuple[Column, ...]:
    """The same columns with the field ids they have in a table."""
    return tuple(_with_id(column, schema.find_field(column.name)) for column in columns)


def _with_id(column: Column, field: NestedField) -> Column:
    type_ = field.field_type
    element_id = type_.element_id if isinstance(type_, ListType) else -1
    return with_fields(column, field_id=field.field_id, element_id=element_id)


def _iceberg(type_: PropertyType) -> IcebergType:
    if type_.startswith("list<"):
        return ListType(element_id=0, element=_TYPES[type_[5:-1]], element_required=False)
    return _TYPES[type_]


def _name_of(type_: IcebergType) -> str:
    if isinstance(type_, ListType):
        return f"list<{_name_of(type_.element_type)}>"
    return next(name for name, known in _TYPES.items() if known == type_)
