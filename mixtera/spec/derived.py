"""Reads what is not in the records themselves: computed properties, and `sidecars:`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias, cast

from mixtera.contracts.properties import PROPERTY_TYPES, PropertyType
from mixtera.spec import derived_keys as keys
from mixtera.spec.document import Entry, Mapping, Node, Scalar, Sequence, describe
from mixtera.spec.fields import Fields, text_of
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.model import ComputedProperty, Place, Property, Sidecar, Source
from mixtera.spec.paths import problem_of, resolve

TABLE_SUFFIXES: Final = (".parquet", ".csv", ".arrow", ".feather")
"""Suffixes of sidecars; anything else is refused by name."""
NameCheck: TypeAlias = Callable[[str, Place, Issues], None]
"""Reports a name that no property may have."""
BY_ROW: Final = ("file", "row")
_IDS: Final = (None, "int64", "string")


def is_computed(node: Node) -> bool:
    """Whether a property is written as one that a function computes."""
    return isinstance(node, Mapping) and any(entry.key.text == "compute" for entry in node.entries)


def read_computed(fields: Fields, issues: Issues) -> tuple[ComputedProperty, ...]:
    """The computed ones among the properties of a source, as they are written."""
    node = fields.node("properties")
    entries = node.entries if isinstance(node, Mapping) else ()
    found = (_computed(entry.key, entry.value, issues) for entry in entries if isinstance(entry.value, Mapping))
    return tuple(computed for computed in found if computed is not None)


def _computed(key: Scalar, node: Mapping, issues: Issues) -> ComputedProperty | None:
    if not is_computed(node):
        return None
    fields = Fields(node, keys.COMPUTED, issues, key.place)
    function = fields.text("compute")
    if function is not None and not re.fullmatch(keys.FUNCTION, function):
        message = f"compute: {function!r} names no function; write module:function, such as scores:quality"
        issues.add(fields.value_place("compute"), message)
        function = None
    columns = tuple(dict.fromkeys(scalar.text for scalar in fields.texts("columns")))
    type_ = cast(PropertyType | None, fields.choice("type", PROPERTY_TYPES))
    options = fields.mapping("options")
    values = {} if options is None else _json(options, issues)
    version = fields.node("version")
    if not isinstance(version, Scalar | None):
        issues.add(version.place, f"version: expected a text, found {describe(version)}")
    if function is None or not columns or type_ is None:
        return None
    text = version.text if isinstance(version, Scalar) else ""
    return ComputedProperty(key.text, function, columns, type_, cast("dict[str, object]", values), text, key.place)


def _json(node: Node, issues: Issues) -> object:
    """A node as JSON values."""
    if isinstance(node, Mapping):
        return {entry.key.text: _json(entry.value, issues) for entry in node.entries}
    if isinstance(node, Sequence):
        return [_json(item, issues) for item in node.items]
    if isinstance(node.value, float) and not math.isfinite(node.value):
        issues.add(node.place, f"options: {node.text} is no number that JSON has; put quotes around it")
    return node.value


def sidecar_entries(node: Node) -> tuple[Entry, ...]:
    """The properties that the sidecars of a source bring, right or wrong."""
    if not isinstance(node, Mapping):
        return ()
    lists = (entry.value for entry in node.entries if entry.key.text == "sidecars")
    tables = (item for value in lists if isinstance(value, Sequence) for item in value.items)
    sections = (entry for item in tables if isinstance(item, Mapping) for entry in item.entries)
    named = (section.value for section in sections if section.key.text == "properties")
    return tuple(entry for value in named if isinstance(value, Mapping) for entry in value.entries)


def read_sidecars(fields: Fields, check_name: NameCheck, issues: Issues) -> tuple[Sidecar, ...]:
    """The sidecars of a source; `check_name` reports names that no property may have."""
    node = fields.node("sidecars")
    if node is None:
        return ()
    if not isinstance(node, Sequence) or not node.items:
        found = "an empty one" if isinstance(node, Sequence) else describe(node)
        issues.add(node.place, f"sidecars: expected a list of {{path, on, properties}}, found {found}")
        return ()
    found_tables = (_sidecar(item, check_name, issues) for item in node.items)
    return tuple(sidecar for sidecar in found_tables if sidecar is not None)


def _sidecar(node: Node, check_name: NameCheck, issues: Issues) -> Sidecar | None:
    if not isinstance(node, Mapping):
        issues.add(node.place, f"sidecars: expected a mapping with path, on and properties, found {describe(node)}")
        return None
    fields = Fields(node, keys.SIDECAR, issues)
    paths = [resolve(scalar.text, scalar.source.file) for scalar in fields.texts("path") if _is_table(scalar, issues)]
    on = _on(fields, issues)
    mapping = fields.mapping("properties")
    properties = [] if mapping is None else [_property(entry, check_name, issues) for entry in mapping.entries]
    known = tuple(found for found in properties if found is not None)
    return Sidecar(tuple(paths), on, known, node.place) if paths and on and known else None


def _is_table(scalar: Scalar, issues: Issues) -> bool:
    if problem := problem_of(scalar.text):
        issues.add(scalar.place, f"path: {problem}")
    elif not scalar.text.lower().endswith(TABLE_SUFFIXES):
        allowed = ", ".join(TABLE_SUFFIXES)
        issues.add(scalar.place, f"path: {describe(scalar)} is no table that can be read; it ends with {allowed}")
    else:
        return True
    return False


def _on(fields: Fields, issues: Issues) -> tuple[tuple[str, str], ...]:
    """What must be equal; empty where that is wrong, which is reported."""
    node = fields.node("on")
    if isinstance(node, Mapping):
        found = [(e.key.text, text_of(e.value, f"on: {e.key.text}", issues)) for e in node.entries]
        pairs = tuple((name, column) for name, column in found if column is not None)
        if len(pairs) < len(found):
            return ()
    else:
        pairs = tuple((scalar.text, scalar.text) for scalar in fields.texts("on"))
    names = {name for name, _ in pairs}
    if len(names) == 1 or names == set(BY_ROW):
        return tuple(sorted(pairs))
    if node is not None and names:
        issues.add(node.place, "on: expected a property such as id, {property: column}, or [file, row]")
    return ()


def _property(entry: Entry, check_name: NameCheck, issues: Issues) -> Property | None:
    name, kind = entry.key.text, None
    check_name(entry.key.text, entry.key.place, issues)
    if isinstance(entry.value, Mapping):
        fields = Fields(entry.value, keys.SIDECAR_PROPERTY, issues, entry.key.place)
        path, kind = fields.text("path"), fields.choice("type", PROPERTY_TYPES)
    else:
        path = text_of(entry.value, f"property {name!r}", issues)
    return None if path is None else Property(name, path, cast(PropertyType | None, kind), entry.key.place)


def check_derived(source: Source, issues: Issues) -> Source:
    """Report what does not fit together; the source with its computed properties in an order that they can be had."""
    content = {field.name for field in source.content}
    plain = {wanted.name: wanted.type for wanted in source.properties}
    for sidecar in source.sidecars:
        _check_sidecar(source, sidecar, plain, issues)
    if not content:
        return source
    known = list(dict.fromkeys([*(field.name for field in source.content), *source.property_names]))
    for computed in source.computed:
        for column in computed.columns:
            if column not in known:
                hint = suggestion(column, [name for name in known if name != computed.name], "columns")
                issues.add(computed.place, f"property {computed.name!r}: unknown column {column!r}{hint}")
    return _ordered(source, content, issues)


def _check_sidecar(source: Source, sidecar: Sidecar, plain: dict[str, PropertyType | None], issues: Issues) -> None:
    others = [*plain, *(computed.name for computed in source.computed)]
    others += [p.name for other in source.sidecars if other is not sidecar for p in other.properties]
    for wanted in sidecar.properties:
        if wanted.name in others:
            issues.add(
                wanted.place,
                f"property {wanted.name!r} is given twice in source {source.name!r}: name one of them otherwise",
            )
    if sidecar.by_row:
        return
    name = sidecar.on[0][0]
    if name not in plain:
        hint = suggestion(name, plain, "properties")
        message = f"on: source {source.name!r} has no property {name!r} that is read from the records{hint}"
        issues.add(sidecar.place, message)
    elif plain[name] not in _IDS:
        issues.add(sidecar.place, f"on: {name} is {plain[name]}; an id is int64 or string")


def _ordered(source: Source, content: set[str], issues: Issues) -> Source:
    pending = {computed.name: computed for computed in source.computed}
    ordered: list[ComputedProperty] = []
    while pending:
        ready = [c for c in pending.values() if not any(n in pending and n not in content for n in c.columns)]
        if not ready:
            names = " and ".join(map(repr, pending))
            what = "itself" if len(pending) == 1 else "each other"
            for computed in pending.values():
                issues.add(computed.place, f"{names}: computed from {what}; compute one from other columns")
            return source
        ordered += ready
        pending = {name: c for name, c in pending.items() if c not in ready}
    return replace(source, computed=tuple(ordered))
