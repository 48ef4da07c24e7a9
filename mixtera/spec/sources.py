"""Reads `sources:`."""

from __future__ import annotations

import keyword
import re
from typing import Final, Literal, cast

from mixtera import registry
from mixtera.contracts.properties import PROPERTY_TYPES, RESERVED_NAMES, PropertyType
from mixtera.errors import PluginError
from mixtera.registry import joined_format, split_format
from mixtera.spec import keys
from mixtera.spec.derived import check_derived, is_computed, read_computed, read_sidecars, sidecar_entries
from mixtera.spec.document import Entry, Mapping, Node, Scalar, describe
from mixtera.spec.fields import Fields, text_of
from mixtera.spec.issues import Issues
from mixtera.spec.known import Known
from mixtera.spec.model import BadSamples, ComputedProperty, ContentField, Property, Source
from mixtera.spec.paths import problem_of, resolve

_BATCH_COLUMNS: Final = ("component", "sample")


def read_sources(entries: tuple[Entry, ...], issues: Issues) -> tuple[tuple[Source, ...], Known]:
    """The sources, and the names that predicates may use."""
    sources = tuple(source for entry in entries if (source := _source(entry, issues)) is not None)
    named = [(entry.key.text, p) for entry in entries for p in _property_entries(entry.value)]
    columns = tuple(dict.fromkeys(("dataset", *(p.key.text for _, p in named))))
    _check_content(sources, issues)
    _check_case([p.key for _, p in named], issues)
    types = _declared_types(sources, issues)
    return sources, Known(tuple(entry.key.text for entry in entries), columns, types)


def _source(entry: Entry, issues: Issues) -> Source | None:
    name, node = entry.key.text, entry.value
    if not re.fullmatch(keys.SOURCE_NAME, name):
        allowed = "up to 100 letters (a-z, A-Z), digits, _ . -, not beginning with . or -"
        issues.add(entry.key.place, f"{name!r} cannot name a source; allowed: {allowed}")
    if not isinstance(node, Mapping):
        issues.add(node.place, f"source {name!r}: expected a mapping with path and content, found {describe(node)}")
        return None
    fields = Fields(node, keys.SOURCE, issues, entry.key.place)
    paths = _paths(fields, issues)
    source = Source(
        name,
        paths,
        _format(fields, paths, issues),
        _content(fields, issues),
        _properties(fields, issues),
        _bad_samples(fields, issues),
        entry.key.place,
        read_computed(fields, issues),
        read_sidecars(fields, _check_property_name, issues),
    )
    return check_derived(source, issues)


def _paths(fields: Fields, issues: Issues) -> tuple[str, ...]:
    resolved = []
    for scalar in fields.texts("path"):
        if problem := problem_of(scalar.text):
            issues.add(scalar.place, f"path: {problem}")
        else:
            resolved.append(resolve(scalar.text, scalar.source.file))
    return tuple(resolved)


def _format(fields: Fields, paths: tuple[str, ...], issues: Issues) -> str:
    known = registry.names("formats")
    if "format" in fields:
        return _named_format(fields, known, issues)
    place = fields.key_place("path")
    found: dict[str, str] = {}
    for path in paths:
        try:
            kind = registry.format_of(path)
        except PluginError as error:
            issues.add(place, f"path: {error}")
            return ""
        if kind is None:
            tail = path.rsplit("/", 1)[-1]
            issues.add(place, f"no format has the suffix of {tail!r}; add `format:`, one of {', '.join(known)}")
            return ""
        found.setdefault(kind.name, path)
    if len(found) > 1:
        issues.add(place, f"the paths have several formats ({', '.join(found)}): make one source of each")
    return next(iter(found), "")


def _named_format(fields: Fields, known: tuple[str, ...], issues: Issues) -> str:
    """The format that a source names, with its options behind it in one text."""
    node, options = fields.node("format"), {}
    if isinstance(node, Mapping):
        options = {entry.key.text: text for entry in node.entries if (text := _option(entry, issues)) is not None}
        text = joined_format(options.pop("name", ""), options)
    else:
        text = node.value if isinstance(node, Scalar) and isinstance(node.value, str) else ""
        if "(" not in text:
            return fields.choice("format", known) or ""
    try:
        if split_format(text)[0] not in known:
            allowed = f"write {{name: NAME, …}} with one of the names {', '.join(known)}"
            issues.add(fields.value_place("format"), f"format: {text!r} names no format; {allowed}")
        else:
            registry.format_named(text)
            return text
    except PluginError as error:
        issues.add(fields.value_place("format"), f"format: {error}")
    return ""


def _option(entry: Entry, issues: Issues) -> str | None:
    """The value of an option of a format, as text."""
    node = entry.value
    if isinstance(node, Scalar) and type(node.value) in (str, int) and not set(str(node.value)) & set("(),="):
        return str(node.value)
    issues.add(node.place, f"format: {entry.key.text}: expected a word or a whole number, found {describe(node)}")
    return None


def _content(fields: Fields, issues: Issues) -> tuple[ContentField, ...]:
    node = fields.node("content")
    if not isinstance(node, Mapping):
        field = fields.text("content")
        return () if field is None or not _is_path(node, field, "content", issues) else (ContentField("text", field),)
    columns = []
    for entry in node.entries:
        name, field = entry.key.text, text_of(entry.value, f"content column {entry.key.text!r}", issues)
        if name in _BATCH_COLUMNS or not name.strip():
            reserved = " and ".join(_BATCH_COLUMNS)
            issues.add(entry.key.place, f"{name!r} cannot name a content column: batches have {reserved} of their own")
        if field is not None and _is_path(entry.value, field, f"content column {name!r}", issues):
            columns.append(ContentField(name, field))
    if not node.entries:
        issues.add(node.place, "content: the mapping is empty; write content: FIELD or content: {column: field}")
    return tuple(columns)


def _is_path(node: Node | None, path: str, name: str, issues: Issues) -> bool:
    if all(part.strip() for part in path.split(".")):
        return True
    if node is not None:
        issues.add(node.place, f"{name}: {path!r} is not a dotted path such as meta.year: a part of it is empty")
    return False


def _property_entries(node: Node) -> tuple[Entry, ...]:
    """The properties of a source, right or wrong, so that a mistake in one is reported once."""
    if not isinstance(node, Mapping):
        return ()
    found = (entry.value for entry in node.entries if entry.key.text == "properties")
    written = (entry for value in found if isinstance(value, Mapping) for entry in value.entries)
    return (*written, *sidecar_entries(node))


def _properties(fields: Fields, issues: Issues) -> tuple[Property, ...]:
    node = fields.node("properties")
    if node is None:
        return ()
    if not isinstance(node, Mapping):
        issues.add(node.place, f"properties: expected a mapping {{name: dotted path}}, found {describe(node)}")
        return ()
    return tuple(found for entry in node.entries if (found := _property(entry, issues)) is not None)


def _property(entry: Entry, issues: Issues) -> Property | None:
    name, place = entry.key.text, entry.key.place
    _check_property_name(entry.key, issues)
    if is_computed(entry.value):
        return None
    kind = None
    if isinstance(entry.value, Mapping):
        fields = Fields(entry.value, keys.PROPERTY, issues, place)
        path, kind = fields.text("path"), fields.choice("type", PROPERTY_TYPES)
        node = fields.node("path")
    else:
        node, path = entry.value, text_of(entry.value, f"property {name!r}", issues)
    if path is None or not _is_path(node, path, f"property {name!r}", issues):
        return None
    return Property(name, path, cast(PropertyType | None, kind), place)


def _check_property_name(key: Scalar, issues: Issues) -> None:
    name = key.text
    if name.casefold() in RESERVED_NAMES:
        issues.add(key.place, f"{name!r} is a name of Mixtera's own; reserved: {', '.join(sorted(RESERVED_NAMES))}")
    elif not re.fullmatch(keys.PROPERTY_NAME, name) or keyword.iskeyword(name):
        allowed = "letters (a-z, A-Z), digits and _, no digit or _ first, no word such as in, is, not"
        issues.add(key.place, f"{name!r} cannot name a property: predicates could not use it; allowed: {allowed}")


def _bad_samples(fields: Fields, issues: Issues) -> BadSamples:
    node = fields.node("on_bad_sample")
    if not isinstance(node, Mapping):
        return BadSamples(_policy(fields.choice("on_bad_sample", keys.BAD_SAMPLE_POLICIES)))
    inner = Fields(node, keys.BAD_SAMPLES, issues)
    policy = _policy(inner.choice("policy", keys.BAD_SAMPLE_POLICIES))
    if "limit" in inner and policy == "fail" and "policy" in inner:
        issues.add(inner.key_place("limit"), "limit: with the policy fail the first bad sample ends it; use skip")
    limit = inner.mapping("limit")
    if limit is None:
        return BadSamples(policy)
    limits = Fields(limit, keys.LIMIT, issues)
    fraction = limits.number("fraction")
    if fraction is not None and fraction > 1:
        issues.add(limits.key_place("fraction"), f"fraction: expected a share from 0 to 1, found {fraction:g}")
    return BadSamples(policy, limits.whole("count", 0, keys.LARGEST), fraction)


def _policy(word: str | None) -> Literal["fail", "skip", "quarantine"]:
    return cast(Literal["fail", "skip", "quarantine"], word or "fail")


def _check_content(sources: tuple[Source, ...], issues: Issues) -> None:
    """All sources deliver the same columns: batches of a plan have one schema."""
    delivering = [source for source in sources if source.content]
    for source in delivering[1:]:
        first, wanted = delivering[0], _names(delivering[0])
        if set(_names(source)) != set(wanted):
            issues.add(
                source.place,
                f"source {source.name!r} delivers {', '.join(_names(source))}, source {first.name!r} delivers "
                f"{', '.join(wanted)}: all sources deliver the same columns; write content: {{column: field}}",
            )


def _names(source: Source) -> tuple[str, ...]:
    return tuple(field.name for field in source.content)


def _check_case(names: list[Scalar], issues: Issues) -> None:
    """Engines tell columns apart without regard to case."""
    spelling: dict[str, Scalar] = {}
    for key in names:
        first = spelling.setdefault(key.text.casefold(), key)
        if first.text != key.text:
            where = f"{first.text!r} in line {first.place.line}"
            issues.add(key.place, f"property {key.text!r} and {where} differ in case only: give them one name")


def _declared_types(sources: tuple[Source, ...], issues: Issues) -> dict[str, PropertyType]:
    types: dict[str, PropertyType] = {"dataset": "string"}
    homes: dict[str, str] = {}
    for source in sources:
        beside = (column for sidecar in source.sidecars for column in sidecar.properties)
        written: tuple[Property | ComputedProperty, ...] = (*source.properties, *beside, *source.computed)
        for column in written:
            if column.type is None:
                continue
            first = types.setdefault(column.name, column.type)
            home = homes.setdefault(column.name, source.name)
            if first != column.type:
                message = (
                    f"{column.name!r} is {column.type} here and {first} in source {home!r}: a property has one type"
                )
                issues.add(column.place, message)
    return types
