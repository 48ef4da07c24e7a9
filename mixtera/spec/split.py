"""Reads `holdout:` and `exclude:`: which samples are kept apart, and which are left out."""

from __future__ import annotations

from typing import Final, Literal, cast

from mixtera.contracts.properties import LIST_TYPES
from mixtera.spec import keys
from mixtera.spec.document import Mapping, Node, Scalar, Sequence, describe
from mixtera.spec.fields import Fields, text_of
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.known import Known
from mixtera.spec.model import Exclusion, Holdout, Place
from mixtera.spec.paths import problem_of, resolve

DEFAULT_SALT: Final = "mixtera"
TABLE_SUFFIXES: Final = (".parquet", ".csv", ".jsonl", ".arrow")
"""Suffixes of exclusion lists; anything else is refused by name."""


def read_holdout(fields: Fields, known: Known, issues: Issues) -> Holdout | None:
    """The split; None where there is none."""
    node = fields.mapping("holdout")
    if node is None:
        return None
    inner = Fields(node, keys.HOLDOUT, issues, fields.key_place("holdout"))
    fraction = inner.number("fraction", zero=False)
    if fraction is not None and fraction >= 1:
        message = f"fraction: {fraction:g} holds out everything; it must be below 1, such as 0.01"
        issues.add(inner.value_place("fraction"), message)
    part = cast(Literal["train", "holdout"] | None, inner.choice("part", keys.HOLDOUT_PARTS))
    by = inner.node("by")
    if isinstance(by, Scalar):
        _check_property(by, "holdout: by", known, issues)
    name, salt = inner.text("by"), inner.text("salt")
    if fraction is None:
        return None
    return Holdout(fraction, salt or DEFAULT_SALT, name, part or "train", fields.key_place("holdout"))


def _check_property(scalar: Scalar, what: str, known: Known, issues: Issues) -> None:
    name = scalar.text
    if known.columns is not None and name not in known.columns:
        issues.add(scalar.place, f"{what}: unknown column {name!r}{suggestion(name, known.columns, 'known')}")
    elif (kind := known.types.get(name)) in LIST_TYPES:
        issues.add(scalar.place, f"{what}: {name} is {kind}; a property with one value is needed")


def read_exclusions(fields: Fields, known: Known, issues: Issues) -> tuple[Exclusion, ...]:
    """The lists of samples that are left out."""
    node = fields.node("exclude")
    if node is None:
        return ()
    items = node.items if isinstance(node, Sequence) else (node,)
    if not items:
        issues.add(node.place, "exclude: the list is empty; name a table, or leave `exclude` out")
    found = [_exclusion(item, known, issues) for item in items]
    return tuple(exclusion for exclusion in found if exclusion is not None)


def _exclusion(node: Node, known: Known, issues: Issues) -> Exclusion | None:
    if not isinstance(node, Mapping):
        return _table(node, (), node.place, issues)
    inner = Fields(node, keys.EXCLUSION, issues)
    path, columns = inner.node("path"), inner.mapping("columns")
    pairs: list[tuple[str, str]] = []
    for entry in () if columns is None else columns.entries:
        _check_property(entry.key, "columns", known, issues)
        column = text_of(entry.value, f"columns: {entry.key.text}", issues)
        pairs += [] if column is None else [(entry.key.text, column)]
    return None if path is None else _table(path, tuple(pairs), node.place, issues)


def _table(node: Node, columns: tuple[tuple[str, str], ...], place: Place, issues: Issues) -> Exclusion | None:
    text = text_of(node, "exclude", issues)
    if text is None or not isinstance(node, Scalar):
        return None
    if problem := problem_of(text):
        issues.add(node.place, f"exclude: {problem}")
        return None
    if not text.lower().endswith(TABLE_SUFFIXES):
        allowed = ", ".join(TABLE_SUFFIXES)
        issues.add(node.place, f"exclude: {describe(node)} is not a table that can be read; it ends with {allowed}")
        return None
    return Exclusion(resolve(text, node.source.file), columns, place)
