"""The `features` of a dataset card as columns."""

from __future__ import annotations

import re
from typing import Final

from mixtera.importers.columns import Column
from mixtera.importers.findings import Findings, Keys, shown
from mixtera.spec.document import Mapping, Node, Scalar, Sequence

_TYPES: Final = (
    (re.compile(r"string|large_string"), "string"),
    (re.compile(r"u?int(8|16|32|64)"), "int64"),
    (re.compile(r"float(16|32|64)"), "float64"),
    (re.compile(r"bool"), "bool"),
    (re.compile(r"date(32|64)"), "date"),
    (re.compile(r"timestamp\[.*\]"), "timestamp"),
)


def property_type(dtype: str) -> str | None:
    """The type of a property for a type of the Hub; None where a property cannot have it."""
    return next((name for pattern, name in _TYPES if pattern.fullmatch(dtype)), None)


def columns_of(node: Node, prefix: str, findings: Findings) -> list[Column]:
    """The columns of a feature: one, or for a struct those of its fields."""
    if not isinstance(node, Mapping):
        findings.wrong(node.place, "a feature has a `name` and a `dtype`")
        return []
    keys = Keys(node, "a feature", findings)
    name = keys.text("name")
    if name is None:
        findings.wrong(node.place, "a feature needs the key 'name'")
        return []
    path = f"{prefix}{name}"
    if "." in name:
        findings.untranslated(node.place, f"the feature {path!r} has a dot in its name, which is that of a path here")
        return []
    struct = keys.node("struct")
    if isinstance(struct, Sequence):
        return [column for item in struct.items for column in columns_of(item, f"{path}.", findings)]
    kind = _type(keys)
    if kind is None or not name.strip():
        message = f"the feature {path!r} ({shown(node)}) can be no property"
        findings.untranslated(node.place, message)
        return []
    return [Column(path, path, kind)]


def _type(keys: Keys) -> str | None:
    dtype = keys.node("dtype")
    if isinstance(dtype, Scalar):
        return property_type(dtype.text)
    if isinstance(dtype, Mapping) and [entry.key.text for entry in dtype.entries] == ["class_label"]:
        return "int64"  # stored as the number of the class
    inner = keys.node("sequence") or keys.node("list")
    kind = property_type(inner.text) if isinstance(inner, Scalar) else None
    return f"list<{kind}>" if kind in ("string", "int64", "float64") else None
