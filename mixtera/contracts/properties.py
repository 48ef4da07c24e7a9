"""The types that a property may have, shared by specs, formats, the catalog and the compiler."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

ScalarType: TypeAlias = Literal["string", "int64", "float64", "bool", "date", "timestamp"]
ListType: TypeAlias = Literal["list<string>", "list<int64>", "list<float64>"]
PropertyType: TypeAlias = ScalarType | ListType

SCALAR_TYPES: Final[tuple[str, ...]] = get_args(ScalarType)
LIST_TYPES: Final[tuple[str, ...]] = get_args(ListType)
PROPERTY_TYPES: Final[tuple[str, ...]] = SCALAR_TYPES + LIST_TYPES
"""`date` is a calendar day, `timestamp` microseconds in UTC; integers have 64 bits, so that engines agree."""

RESERVED_NAMES: Final = frozenset({"dataset", "file_id", "row", "offset", "length", "component", "sample", "label"})
"""Names that the catalog and the compiler use themselves; no property may have one of them."""
