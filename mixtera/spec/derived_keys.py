"""Keys of properties that are not in the records themselves: computed ones, and those of sidecars."""

from __future__ import annotations

from typing import Final

from mixtera.contracts.properties import PROPERTY_TYPES
from mixtera.spec.section import TEXT, TEXTS, Key, Section, reference

PROPERTY_NAME: Final = r"^[A-Za-z][A-Za-z0-9_]*$"
FUNCTION: Final = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"

COMPUTED: Final = Section(
    "a computed property",
    (
        Key(
            "compute",
            {"type": "string", "pattern": FUNCTION},
            "A function, as `module:function`; the module lies beside this file, or is installed.",
            required=True,
        ),
        Key("columns", TEXTS, "Content columns and other properties that it gets, in a record batch.", required=True),
        Key("type", {"enum": list(PROPERTY_TYPES)}, "Type of its values.", required=True),
        Key("options", {"type": "object", "minProperties": 1}, "Keyword arguments of the function."),
        Key(
            "version",
            {"type": ["string", "number", "boolean"]},
            "Any text; another one computes the property anew, as another function or other options do.",
        ),
    ),
    {"path": "a property is read from the record or computed; keep one of `path` and `compute`"},
)
SIDECAR: Final = Section(
    "a sidecar",
    (
        Key("path", TEXTS, "Tables (.parquet, .csv, .arrow, .feather): files, globs or URLs.", required=True),
        Key(
            "on",
            {
                "anyOf": [
                    TEXT,
                    {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 2},
                    {"type": "object", "minProperties": 1, "maxProperties": 2, "additionalProperties": TEXT},
                ]
            },
            "Whose rows belong to which sample: a property that is the column of the same name, {property: column}, or "
            "[file, row].",
            required=True,
        ),
        Key(
            "properties",
            {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": PROPERTY_NAME},
                "additionalProperties": {"anyOf": [TEXT, reference("sidecar_property")]},
            },
            "What the tables bring: {name: column} or {name: {path: column, type}}.",
            required=True,
        ),
    ),
)
SIDECAR_PROPERTY: Final = Section(
    "a property of a sidecar",
    (
        Key("path", TEXT, "Name of the column.", required=True),
        Key("type", {"enum": list(PROPERTY_TYPES)}, "Type of the property. Default: that of the column."),
    ),
)
