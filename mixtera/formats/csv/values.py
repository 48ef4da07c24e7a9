"""Fields, which are strings, as values of a property's type; and which type strings look like."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixtera.contracts.properties import PropertyType
from mixtera.formats.columnar.convert import convert
from mixtera.formats.csv.records import Positions
from mixtera.formats.values import ARROW_TYPES

_DAY: Final = r"\d{4}-\d\d-\d\d"
_LOOKS: Final[tuple[tuple[PropertyType, str], ...]] = (
    ("int64", r"[+-]?(0|[1-9]\d{0,17})"),
    ("float64", r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[nN]a[nN]|[+-]?[iI]nf"),
    ("bool", r"[tT]rue|[fF]alse|TRUE|FALSE"),
    ("date", _DAY),
    ("timestamp", _DAY + r"[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?"),
)


def property_values(fields: pa.StringArray, wanted: PropertyType) -> tuple[pa.Array, Positions]:
    """Fields as a property.

    Returns:
        The values, NULL where a field is empty or is none of that type, and the places of the latter.
    """
    if wanted == "string":
        return fields, np.empty(0, np.int64)
    trimmed = pc.utf8_trim_whitespace(fields)
    present = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
    if wanted == "int64":
        present = pc.utf8_ltrim(present, "+")  # Arrow reads no sign but a minus
    return convert(present, ARROW_TYPES[wanted])


def looks_like(fields: pa.StringArray) -> PropertyType | None:
    """The narrowest type that all fields can be read as; None if all are empty."""
    trimmed = pc.utf8_trim_whitespace(fields)
    present = trimmed.filter(pc.fill_null(pc.not_equal(trimmed, ""), False))
    if not len(present):
        return None
    for name, pattern in _LOOKS:
        if pc.all(pc.match_substring_regex(present, f"^({pattern})$")).as_py():
            return name
    both = "|".join(pattern for name, pattern in _LOOKS if name in ("date", "timestamp"))
    return "timestamp" if pc.all(pc.match_substring_regex(present, f"^({both})$")).as_py() else "string"
