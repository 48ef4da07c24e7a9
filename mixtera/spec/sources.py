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
from mixtera.spec.captures import capture_of, problem_of_captures, with_captures
from mixtera.spec.derived import check_derived, is_computed, read_computed, read_sidecars, sidecar_entries
from mixtera.spec.document import Entry, Mapping, Node, Scalar, describe
from mixtera.spec.fields import Fields, number_of, text_of
from mixtera.spec.issues import Issues
from mixtera.spec.known import Known
from mixtera.spec.model import BadSamples, ComputedProperty, ContentField, Place, Property, Source
from mixtera.spec.paths import problem_of, resolve
from mixtera.spec.tables import check_table, read_table

_QUOTED: Final = re.compile(r'"[^"]*"')
_ELEMENTS: Final = re.compile(r"\[\*\](?:\[\*\])*(?:\.|$)")
_BATCH_COLUMNS: Final = ("component", "sample")


def read_sources(entries: tuple[Entry, ...], issues: Issues) -> tuple[tuple[Source, ...], Known]:
    """The sources, and the names that predicates may use."""
    sources = tuple(source for entry in entries if (source := _source(entry, issues)) is not None)
    named = [(p.key.text, p.key.place) for entry in entries for p in _property_entries(entry.value)]
    named += [(p.name, p.place) for source in sources for p in source.properties if capture_of(p.path)]
    columns = tuple(dict.fromkeys(("dataset", *(name for name, _ in named))))
    _check_case(named, issues)
    types = _declared_types(sources, issues)
    content = tuple(dict.fromkeys(field.name for source in sources for field in source.content))
    return sources, Known(tuple(entry.key.text for entry in entries), columns, types, content=content)


def _source(entry: Entry, issues: Issues) -> Source | None:
    name, node = entry.key.text, entry.value
    if not re.fullmatch(keys.SOURCE_NAME, name):
        allowed = "up to 100 letters (a-z, A-Z), digits, _ . -, not beginning with . or -"
        issues.add(entry.key.place, f"{name!r} cannot name a source; allowed: {allowed}")
    if not isinstance(node, Mapping):
        issues.add(node.place, f"source {name!r}: expected a mapping with path and content, found {describe(node)}")
        return None
    fields = Fields(node, keys.SOURCE, issues, entry.key.place)
    table = read_table(fields, issues)
    paths = _paths(fields, issues)
    written, computed = _properties(fields, issues), read_computed(fields, issues)
    captured = fields.texts("path") if fields.is_absent("table") else ()
    properties = with_captures(written, captured, [column.name for column in computed], issues)
    for found in properties[len(written) :]:
        check_property_name(found.name, found.place, issues)
    source = Source(
        name,
        paths,
        _format(fields, paths, issues) if "format" in fields or fields.is_absent("table") else "",
        _content(fields, issues),
        properties,
        _bad_samples(fields, issues),
        entry.key.place,
        computed,
        read_sidecars(fields, check_property_name, issues),
        table=table,
    )
    check_table(source, fields, issues)
    return check_derived(source, issues)


def _paths(fields: Fields, issues: Issues) -> tuple[str, ...]:
    resolved = []
    for scalar in fields.texts("path"):
        if problem := problem_of(scalar.text) or problem_of_captures(scalar.text):
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
            folder = "" if "." in tail else f"name the files of a folder, such as {tail}/*.parquet, or "
            said = f"no format has the suffix of {tail!r}; {folder}add `format:`, one of {', '.join(known)}"
            issues.add(place, said)
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
        sound = field is not None and _is_content(node, field, "content", issues)
        return (ContentField("text", field),) if field is not None and sound else ()
    columns = []
    for entry in node.entries:
        name, field = entry.key.text, text_of(entry.value, f"content column {entry.key.text!r}", issues)
        if name in _BATCH_COLUMNS or not name.strip():
            reserved = " and ".join(_BATCH_COLUMNS)
            issues.add(entry.key.place, f"{name!r} cannot name a content column: batches have {reserved} of their own")
        if field is not None and _is_content(entry.value, field, f"content column {name!r}", issues):
            columns.append(ContentField(name, field))
    if not node.entries:
        issues.add(node.place, "content: the mapping is empty; write content: FIELD or content: {column: field}")
    return tuple(columns)


def _is_content(node: Node | None, path: str, name: str, issues: Issues) -> bool:
    if not takes_elements(path):
        return _is_path(node, path, name, issues)
    if node is not None:
        issues.add(node.place, f"{name}: {path!r} takes the elements of a list: content is one field")
    return False


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
    check_property_name(name, place, issues)
    if is_computed(entry.value):
        return None
    kind = None
    if isinstance(entry.value, Mapping):
        fields = Fields(entry.value, keys.PROPERTY, issues, place)
        kind = fields.choice("type", PROPERTY_TYPES)
        if "capture" in fields or fields.is_absent("path"):
            return _captured(name, fields, cast(PropertyType | None, kind), issues)
        path = fields.text("path")
        node = fields.node("path")
    else:
        node, path = entry.value, text_of(entry.value, f"property {name!r}", issues)
    if path is None or not _is_path(node, path, f"property {name!r}", issues):
        return None
    if (capture := capture_of(path)) is not None:
        return _of_capture(name, capture, cast(PropertyType | None, kind), place, issues)
    if takes_elements(path) and kind is not None and not kind.startswith("list<"):
        message = f"property {name!r}: {path!r} takes the elements of a list, and is one itself: list<…>, not {kind}"
        issues.add(place, message)
        return None
    return Property(name, path, cast(PropertyType | None, kind), place)


def takes_elements(path: str) -> bool:
    """Whether a path takes the elements of a list: `[*]` behind a key, and not inside quotes."""
    return _ELEMENTS.search(_QUOTED.sub('""', path)) is not None


def _captured(name: str, fields: Fields, kind: PropertyType | None, issues: Issues) -> Property | None:
    """A property that is captured from the path of a file."""
    if fields.is_absent("capture"):
        issues.add(fields.place, f"property {name!r} needs a path into the record, or the name of a capture")
        return None
    capture = fields.text("capture")
    if not fields.is_absent("path"):
        issues.add(fields.key_place("capture"), f"property {name!r} has a path and a capture: remove one of them")
    if capture is None:
        return None
    if capture_of(f"{{{capture}}}") is None:
        issues.add(fields.value_place("capture"), f"capture: {capture!r} is no name: write what stands in the braces")
        return None
    return _of_capture(name, capture, kind, fields.place, issues)


def _of_capture(name: str, capture: str, kind: PropertyType | None, place: Place, issues: Issues) -> Property | None:
    if kind is not None and kind.startswith("list<"):
        issues.add(place, f"property {name!r} is captured from a path: it is one value, and cannot be {kind}")
        return None
    return Property(name, f"{{{capture}}}", kind or "string", place)


def check_property_name(name: str, place: Place, issues: Issues) -> None:
    """Report a name that no property can have."""
    if name.casefold() in RESERVED_NAMES:
        issues.add(place, f"{name!r} is a name of Mixtera's own; reserved: {', '.join(sorted(RESERVED_NAMES))}")
    elif not re.fullmatch(keys.PROPERTY_NAME, name) or keyword.iskeyword(name):
        allowed = "letters (a-z, A-Z), digits and _, no digit or _ first, no word such as in, is, not"
        issues.add(place, f"{name!r} cannot name a property: predicates could not use it; allowed: {allowed}")


def _bad_samples(fields: Fields, issues: Issues) -> BadSamples:
    node = fields.node("on_bad_sample")
    if not isinstance(node, Mapping):
        return BadSamples(_policy(fields.choice("on_bad_sample", keys.BAD_SAMPLE_POLICIES)))
    inner = Fields(node, keys.BAD_SAMPLES, issues)
    policy = _policy(inner.choice("policy", keys.BAD_SAMPLE_POLICIES))
    if "limit" in inner and policy == "fail" and "policy" in inner:
        issues.add(inner.key_place("limit"), "limit: with the policy fail the first bad sample ends it; use skip")
    limit = inner.node("limit")
    if isinstance(limit, Scalar):
        if type(limit.value) is int:
            return BadSamples(policy, inner.whole("limit", 0, keys.LARGEST))
        return BadSamples(policy, None, _fraction(limit, "limit", issues))
    if not isinstance(limit, Mapping) or not limit.entries:
        if limit is not None:
            expected = "a number such as 100, a share such as 1%, or a mapping with count and fraction"
            issues.add(limit.place, f"limit: expected {expected}, found {describe(limit)}")
        return BadSamples(policy)
    limits = Fields(limit, keys.LIMIT, issues)
    fraction = _fraction(limits.node("fraction"), "fraction", issues)
    return BadSamples(policy, limits.whole("count", 0, keys.LARGEST), fraction)


def _fraction(node: Node | None, name: str, issues: Issues) -> float | None:
    """A share from 0 to 1, as a number or as a percentage."""
    if isinstance(node, Scalar) and isinstance(node.value, str) and re.fullmatch(keys.PERCENT, node.value):
        return float(node.value.rstrip("% ")) / 100
    if isinstance(node, Scalar) and isinstance(node.value, str):
        issues.add(node.place, f"{name}: expected a share such as 0.01 or 1%, found {describe(node)}")
        return None
    fraction = None if node is None else number_of(node, name, issues)
    if node is not None and fraction is not None and fraction > 1:
        issues.add(node.place, f"{name}: expected a share from 0 to 1, found {fraction:g}")
    return fraction


def _policy(word: str | None) -> Literal["fail", "skip", "quarantine"]:
    return cast(Literal["fail", "skip", "quarantine"], word or "fail")


def _check_case(names: list[tuple[str, Place]], issues: Issues) -> None:
    """Engines tell columns apart without regard to case."""
    spelling: dict[str, tuple[str, Place]] = {}
    for name, place in names:
        first, at = spelling.setdefault(name.casefold(), (name, place))
        if first != name:
            where = f"{first!r} in line {at.line}"
            issues.add(place, f"property {name!r} and {where} differ in case only: give them one name")


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
