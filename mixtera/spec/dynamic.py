"""Reads `dynamic:`: which algorithm steers the weights, and how."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mixtera import registry
from mixtera.contracts.algorithm import Algorithm, Option
from mixtera.errors import PluginError
from mixtera.spec.bounds import check_group_bounds, read_bounds
from mixtera.spec.document import Entry, Mapping, Node, Scalar, Sequence, describe
from mixtera.spec.dynamic_keys import DYNAMIC, MOST_STEPS
from mixtera.spec.fields import Fields
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.model import Bounds, Component, Dynamic, Grouped, Listed, Parts, Place


def read_dynamic(outer: Fields, parts: Parts | None, issues: Issues) -> Dynamic | None:
    """The section; None where there is none or it is wrong.

    Args:
        outer: The mixture.
        parts: Its parts, where they could be read.
        issues: Takes the issues.
    """
    node = outer.mapping("dynamic")
    if node is None:
        return None
    place = outer.key_place("dynamic")
    fields = Fields(node, DYNAMIC, issues, place)
    algorithm = _algorithm(fields, issues)
    options = {} if algorithm is None else _options(fields, algorithm, _names(parts), issues)
    bounds = read_bounds(fields, issues)
    every, lag = (fields.whole(name, 1, MOST_STEPS) or 1 for name in ("every", "lag"))
    _check_parts(parts, bounds, place, issues)
    return None if algorithm is None else Dynamic(algorithm.name, options, bounds, every, lag, place)


def _algorithm(fields: Fields, issues: Issues) -> Algorithm | None:
    name = fields.text("algorithm")
    if name is None:
        return None
    known = registry.names("algorithms")
    if name not in known:
        message = f"algorithm: none is named {name!r}{suggestion(name, known, 'installed')}"
        issues.add(fields.value_place("algorithm"), message)
        return None
    try:
        return registry.algorithm_named(name)
    except PluginError as error:
        issues.add(fields.value_place("algorithm"), f"algorithm: {error}")
        return None


def _names(parts: Parts | None) -> tuple[str, ...] | None:
    """Full names of the components, where the spec alone tells them."""
    if not isinstance(parts, Listed):
        return None
    found: list[str] = []
    for component in parts.components:
        below = (None,) if component.parts is None else _names(component.parts)
        if below is None:
            return None
        found += [component.name if name is None else f"{component.name}/{name}" for name in below]
    return tuple(found)


def _options(fields: Fields, algorithm: Algorithm, names: tuple[str, ...] | None, issues: Issues) -> dict[str, Any]:
    node = fields.mapping("options")
    known = {option.name: option for option in algorithm.options}
    given: dict[str, Any] = {}
    seen: set[str] = set()
    for entry in () if node is None else node.entries:
        name = entry.key.text
        seen.add(name)
        if name not in known:
            hint = suggestion(name, known)
            issues.add(entry.key.place, f"unknown option {name!r} of the algorithm {algorithm.name}{hint}")
        elif _is_good(entry, known[name], names, issues):
            given[name] = _value(entry.value)
    for option in algorithm.options:
        if option.required and option.name not in seen:
            message = f"the algorithm {algorithm.name} needs the option {option.name!r}: {option.meaning}"
            issues.add(fields.key_place("options"), message)
    return given


def _is_good(entry: Entry, option: Option, names: tuple[str, ...] | None, issues: Issues) -> bool:
    if problem := option.problem(_value(entry.value)):
        issues.add(entry.value.place, f"{option.name}: {problem}, found {describe(entry.value)}")
        return False
    for key in _components(option, entry.value):
        if names is not None and key.text not in names:
            hint = suggestion(key.text, names, "components")
            issues.add(key.place, f"{option.name}: no component is named {key.text!r}{hint}")
    return True


def _components(option: Option, node: Node) -> Iterator[Scalar]:
    """The keys of a value that are names of components."""
    if option.kind in ("numbers", "graph") and isinstance(node, Mapping):
        yield from (entry.key for entry in node.entries)
        if option.kind == "graph":
            for entry in node.entries:
                yield from (inner.key for inner in entry.value.entries) if isinstance(entry.value, Mapping) else ()


def _value(node: Node) -> Any:  # noqa: ANN401 - what YAML can say
    if isinstance(node, Mapping):
        return {entry.key.text: _value(entry.value) for entry in node.entries}
    if isinstance(node, Sequence):
        return [_value(item) for item in node.items]
    return node.value


def _check_parts(parts: Parts | None, bounds: Bounds, place: Place, issues: Issues) -> None:
    """Report what an algorithm's weights leave no room for, and bounds that cannot be kept."""
    for component in _written_out(parts):
        if component.bounds != Bounds():
            message = f"{component.name!r} has bounds of its own, and `dynamic` weighs all components together; write"
            issues.add(component.place, f"{message} `floor` and `ceiling` into `dynamic`")
    names = _names(parts)
    if names is not None and bounds != Bounds():
        check_group_bounds(bounds, len(names), place, issues, "dynamic", "components")


def _written_out(parts: Parts | None) -> Iterator[Component]:
    for component in parts.components if isinstance(parts, Listed) else ():
        yield component
        yield from _written_out(component.parts)


def check_alone(parts: Parts | None, issues: Issues) -> None:
    """Report schedules and bounds of groups, at any depth: `dynamic` alone says how weights change."""
    if isinstance(parts, Grouped):
        if parts.bounds != Bounds():
            message = "the weights of these groups have bounds of their own, and `dynamic` weighs all components"
            issues.add(parts.place, f"{message} together; write `floor` and `ceiling` into `dynamic`")
        return
    if parts is None:
        return
    if parts.schedule:
        message = "`schedule` and `dynamic` exclude each other: weights follow a plan, or the training"
        issues.add(parts.schedule[0].place, message)
    for component in parts.components:
        check_alone(component.parts, issues)
