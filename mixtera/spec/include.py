"""Reads a spec file with the files it includes, as one mapping whose values keep the place they were written at.

Included files come first. Their sources are joined with those of the including file; any other section of the
including file replaces theirs as a whole.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from mixtera.spec import keys
from mixtera.spec.document import Entry, Mapping, Node, Scalar, Sequence, describe
from mixtera.spec.fields import text_of
from mixtera.spec.issues import Issues
from mixtera.spec.model import Place
from mixtera.spec.paths import problem_of, resolve
from mixtera.spec.reading import read

_OWN_KEYS = ("version", "name", "include")


@dataclass(frozen=True, slots=True)
class Merged:
    """A spec with its includes; `whole` is false where one of them could not be read."""

    root: Mapping
    whole: bool


def read_merged(
    file: str, issues: Issues, including: tuple[str, ...] = (), named_at: Place | None = None
) -> Merged | None:
    """The whole spec of a file; None where it cannot be read.

    Args:
        file: Path or URL of the file.
        issues: Takes the issues.
        including: The resolved paths of the files that include this one.
        named_at: Where the last of them names it.
    """
    root = read(file, issues, named_at)
    if root is None:
        return None
    if not isinstance(root, Mapping):
        issues.add(root.place, f"a spec is a mapping with version, sources and mixture; found {describe(root)}")
        return None
    own = {entry.key.text: entry for entry in root.entries}
    _check_version(own, issues)
    included: dict[str, Entry] = {}
    whole = True
    for scalar in _include_paths(own, issues):
        part = _read_included(scalar, (*including, resolve(file, "./")), issues)
        whole = whole and part is not None and part.whole
        if part is not None:
            _add(included, part.root.entries, own, scalar, issues)
    merged = included | own
    if "sources" in included and "sources" in own:
        merged["sources"] = _joined(included["sources"], own["sources"], issues)
    return Merged(Mapping(tuple(merged.values()), root.place), whole)


def _check_version(own: dict[str, Entry], issues: Issues) -> None:
    if "version" in own:
        node = own["version"].value
        if not (isinstance(node, Scalar) and node.value == 1 and type(node.value) is int):
            issues.add(node.place, f"version: this program reads version 1, found {describe(node)}")


def _include_paths(own: dict[str, Entry], issues: Issues) -> list[Scalar]:
    node = own["include"].value if "include" in own else None
    if node is None or (isinstance(node, Scalar) and node.value is None):
        return []
    items = node.items if isinstance(node, Sequence) else (node,)
    scalars = [item for item in items if text_of(item, "include", issues) is not None and isinstance(item, Scalar)]
    usable = []
    for scalar in scalars:
        if problem := problem_of(scalar.text):
            issues.add(scalar.place, f"include: {problem}")
        else:
            usable.append(scalar)
    return usable


def _read_included(scalar: Scalar, including: tuple[str, ...], issues: Issues) -> Merged | None:
    file = scalar.source.file
    shown = posixpath.join(posixpath.dirname(file), scalar.text)
    if "://" in file or "://" in scalar.text:
        shown = resolve(scalar.text, file)
    if (resolved := resolve(shown, "./")) in including:
        between = [posixpath.basename(name) for name in including[including.index(resolved) + 1 :]]
        way = f" by way of {', '.join(between)}" if between else ""
        issues.add(scalar.place, f"include: {scalar.text!r} includes itself{way}; remove one of the includes")
        return None
    return read_merged(shown, issues, including, scalar.place)


def _add(
    included: dict[str, Entry], more: tuple[Entry, ...], own: dict[str, Entry], scalar: Scalar, issues: Issues
) -> None:
    for entry in more:
        name = entry.key.text
        if name in _OWN_KEYS:
            continue
        if name not in included:
            included[name] = entry
        elif name == "sources":
            included[name] = _joined(included[name], entry, issues)
        elif name not in own and name in keys.SPEC.allowed:
            first = included[name].key.place
            message = f"include: {scalar.text!r} sets {name!r}, which {first.file}:{first.line} sets too; set it here"
            issues.add(scalar.place, message)


def _joined(first: Entry, second: Entry, issues: Issues) -> Entry:
    if not isinstance(first.value, Mapping) or not isinstance(second.value, Mapping):
        return first if isinstance(second.value, Mapping) else second
    known: dict[str, Entry] = {entry.key.text: entry for entry in first.value.entries}
    fresh = []
    for entry in second.value.entries:
        if entry.key.text in known:
            place = known[entry.key.text].key.place
            issues.add(entry.key.place, f"source {entry.key.text!r} is also defined in {place.file}:{place.line}")
        else:
            fresh.append(entry)
    value: Node = Mapping((*first.value.entries, *fresh), second.value.place)
    return Entry(second.key, value)
