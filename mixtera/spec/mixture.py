"""Reads `mixture:` and the components in it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, cast

from mixtera.contracts.properties import LIST_TYPES
from mixtera.spec import keys
from mixtera.spec.bounds import check_bounds, read_bounds
from mixtera.spec.budget import read_budget
from mixtera.spec.delivery import read_deliver
from mixtera.spec.document import Entry, Mapping, Node, Scalar, Sequence, describe
from mixtera.spec.dynamic import check_alone, read_dynamic
from mixtera.spec.fields import Fields, number_of
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.known import Known
from mixtera.spec.model import (
    Bounds,
    Component,
    Grouped,
    Listed,
    Mixture,
    Natural,
    OnExhaust,
    Parts,
    Place,
    Temperature,
    Tokens,
    Uniform,
    UniMax,
    Unit,
    Values,
    Weights,
)
from mixtera.spec.order import read_own_order
from mixtera.spec.predicates import predicate_of
from mixtera.spec.schedule import check_start, read_schedule


def read_mixture(node: Mapping, known: Known, issues: Issues, place: Place) -> Mixture | None:
    """The mixture; None where it has no usable parts."""
    fields = Fields(node, keys.MIXTURE, issues, place)
    unit = _read_unit(fields, known.tokens, issues)
    known = replace(known, unit=unit)
    on_exhaust = _on_exhaust(fields) or "stop"
    max_epochs = fields.number("max_epochs", zero=False)
    budget = read_budget(fields, known.tokens, issues)
    parts = _parts(fields, replace(known, budget=budget), issues)
    if parts is None and "components" not in fields and "by" not in fields:
        issues.add(fields.place, "mixture needs `components` (a list with weights) or `by` (one component per value)")
    if parts is not None:
        _check_unimax(parts, False, issues)
    dynamic = read_dynamic(fields, parts, issues)
    if "dynamic" in fields:
        check_alone(parts, issues)
    return None if parts is None else Mixture(unit, parts, on_exhaust, max_epochs, budget, dynamic)


def _check_unimax(parts: Parts, scheduled: bool, issues: Issues) -> None:
    """Report UniMax where its part of the budget changes over time."""
    if isinstance(parts, Grouped):
        if scheduled and isinstance(parts.weights, UniMax):
            message = "unimax needs to know its part of the budget, and a schedule around it changes that"
            issues.add(parts.place, f"{message}; use natural, uniform, temperature or values here")
        return
    for component in parts.components:
        if component.parts is not None:
            _check_unimax(component.parts, scheduled or bool(parts.schedule), issues)


def _read_unit(fields: Fields, tokens: Tokens | None, issues: Issues) -> Unit:
    """What weights and positions count: tokens, where samples are packed and nothing else is said."""
    packs = tokens is not None and tokens.packs
    unit = cast(Unit | None, fields.choice("unit", keys.UNITS))
    if unit == "tokens" and not packs:
        need = (
            "needs the section `tokens:` (tokenizer, sequence_length)"
            if tokens is None
            else "needs `packing: concat` or `best_fit` in `tokens:`; a document a row is counted in samples"
        )
        issues.add(fields.value_place("unit"), f"unit: tokens {need}")
    return unit or ("tokens" if packs else "samples")


def _on_exhaust(fields: Fields) -> OnExhaust | None:
    return cast(OnExhaust | None, fields.choice("on_exhaust", keys.ON_EXHAUST))


def _parts(fields: Fields, known: Known, issues: Issues) -> Parts | None:
    if "components" in fields and "by" in fields:
        message = "`components` and `by` exclude each other: list the components, or group by properties"
        issues.add(fields.key_place("by"), message)
    if "weights" in fields and "by" not in fields:
        hint = "; give each of the components its weight" if "components" in fields else ""
        issues.add(fields.key_place("weights"), f"`weights` goes with `by`{hint}")
    if "schedule" in fields and "components" not in fields:
        message = "`schedule` goes with `components`: list them, so that it can name them"
        issues.add(fields.key_place("schedule"), message)
    if "components" in fields:
        return _listed(fields, known, issues)
    return _grouped(fields, known, issues) if "by" in fields else None


def _listed(fields: Fields, known: Known, issues: Issues) -> Listed | None:
    node = fields.node("components")
    if not isinstance(node, Sequence) or not node.items:
        found = "an empty list" if isinstance(node, Sequence) else describe(node) if node else "nothing"
        issues.add(fields.key_place("components"), f"components: expected a list of components, found {found}")
        return None
    scheduled = not fields.is_absent("schedule")
    components = [_component(item, scheduled, known, issues) for item in node.items]
    good = tuple(component for component in components if component is not None)
    _check_siblings(good, issues)
    names = [component.name for component in good] if len(good) == len(components) else None
    schedule = read_schedule(fields, names, known, issues)
    check_start(schedule, good, issues)
    if names is not None:
        check_bounds(good, schedule, fields.key_place("components"), issues)
    weighted = [component.weight for component in good if component.weight is not None]
    if len(weighted) == len(components) and not any(weighted):
        issues.add(node.place, "the weights of these components sum to zero; give one of them a weight above 0")
    return Listed(good, schedule)


def _component(node: Node, scheduled: bool, known: Known, issues: Issues) -> Component | None:
    if not isinstance(node, Mapping):
        issues.add(node.place, f"expected a component such as {{name: web, weight: 1}}, found {describe(node)}")
        return None
    fields = Fields(node, keys.COMPONENT, issues)
    if fields.is_absent("weight") and not scheduled:
        issues.add(fields.place, "a component needs the key 'weight'")
    name, weight = _name(fields, issues), fields.number("weight")
    where = fields.node("where")
    predicate = None if where is None else predicate_of(where, "where", known, issues)
    component = Component(
        name or "",
        predicate,
        weight,
        _on_exhaust(fields),
        fields.number("max_epochs", zero=False),
        _parts(fields, known, issues),
        fields.place,
        read_own_order(fields, known, issues),
        read_bounds(fields, issues),
        read_deliver(fields, known.content, issues),
    )
    weighed = weight is not None or (scheduled and fields.is_absent("weight"))
    usable = name is not None and weighed and (fields.is_absent("where") or predicate is not None)
    return component if usable else None


def _name(fields: Fields, issues: Issues) -> str | None:
    node = fields.node("name")
    name = fields.text("name")
    if node is None or name is None or re.fullmatch(keys.NAME, name):
        return name
    issues.add(node.place, f"name: {name!r} cannot be used: no `/` (it joins nested names), no spaces at the ends")
    return None


def _check_siblings(components: tuple[Component, ...], issues: Issues) -> None:
    first: dict[str, Component] = {}
    rest: Component | None = None
    for component in components:
        before = first.setdefault(component.name, component)
        if before is not component:
            message = f"two components are named {component.name!r}; the first is in line {before.place.line}"
            issues.add(component.place, message)
        if rest is not None:
            issues.add(
                component.place,
                f"{component.name!r} can never match: {rest.name!r} before it has no `where` and takes all that is "
                "left; put it last",
            )
        rest = rest or (component if component.where is None else None)


def _grouped(fields: Fields, known: Known, issues: Issues) -> Grouped | None:
    columns = fields.texts("by")
    names = tuple(scalar.text for scalar in columns)
    for index, scalar in enumerate(columns):
        _check_column(scalar, names[:index], known, issues)
    weights, bounds = _weights(fields, names, known, issues)
    return Grouped(names, weights, fields.key_place("by"), bounds) if names else None


def _check_column(scalar: Scalar, before: tuple[str, ...], known: Known, issues: Issues) -> None:
    name, kind = scalar.text, known.types.get(scalar.text)
    if known.columns is not None and name not in known.columns:
        issues.add(scalar.place, f"unknown column {name!r} in `by`{suggestion(name, known.columns, 'known')}")
    elif name in before:
        issues.add(scalar.place, f"{name!r} stands twice in `by`")
    elif kind in LIST_TYPES:
        issues.add(scalar.place, f"{name!r} is {kind}: a sample with several values would be in several components")


def _weights(fields: Fields, by: tuple[str, ...], known: Known, issues: Issues) -> tuple[Weights, Bounds]:
    node = fields.node("weights")
    if isinstance(node, Scalar):
        return Uniform() if fields.choice("weights", keys.WEIGHTINGS) == "uniform" else Natural(), Bounds()
    if isinstance(node, Mapping):
        described = Fields(node, keys.WEIGHTS, issues)
        return _described(described, by, known, issues), read_bounds(described, issues)
    if node is not None:
        issues.add(node.place, f"weights: expected natural, uniform or {_DESCRIBED}, found {describe(node)}")
    return Natural(), Bounds()


_DESCRIBED: Final = "a mapping with `values`, `temperature` or `unimax`"
_KINDS: Final = ("values", "temperature", "unimax")


def _described(fields: Fields, by: tuple[str, ...], known: Known, issues: Issues) -> Weights:
    """Weights that are a mapping; natural ones where it only has bounds."""
    given = [name for name in _KINDS if name in fields]
    if len(given) > 1:
        issues.add(fields.key_place(given[1]), f"weights: `{given[0]}` and `{given[1]}` exclude each other")
    if all(fields.is_absent(name) for name in fields.section.allowed):
        issues.add(fields.place, f"weights: expected natural, uniform or {_DESCRIBED}, found none of them")
    values, temperature = fields.mapping("values"), fields.number("temperature", zero=False)
    if values is not None:
        return _values(values, by, known, issues)
    if temperature is not None:
        return Temperature(temperature)
    return _unimax(fields, known, issues) or Natural()


def _unimax(fields: Fields, known: Known, issues: Issues) -> UniMax | None:
    node = fields.mapping("unimax")
    if node is None:
        return None
    if known.budget is None:
        message = "unimax spreads a budget, and there is none; add `budget: {samples: …}` to the mixture"
        issues.add(fields.key_place("unimax"), message)
    epochs = Fields(node, keys.UNIMAX, issues, fields.key_place("unimax")).number("max_epochs", zero=False)
    return None if epochs is None else UniMax(epochs)


def _values(node: Mapping, by: tuple[str, ...], known: Known, issues: Issues) -> Values:
    weights: list[tuple[str, float, Place]] = []
    named: set[str] = set()
    rest = None
    for entry in node.entries:
        weight = number_of(entry.value, f"weight of {entry.key.text!r}", issues)
        if entry.key.text == "rest":
            rest = weight
            continue
        name = _value_name(entry, by, known, issues)
        if name in named:
            issues.add(entry.key.place, f"the value {name!r} has a weight already")
        named.add(name)
        weights.append((name, weight or 0.0, entry.key.place))
    if not rest and not any(weight for _, weight, _ in weights):
        issues.add(node.place, "these weights sum to zero; give one of them a weight above 0")
    return Values(tuple((name, weight) for name, weight, _ in weights), rest, tuple(place for *_, place in weights))


def _value_name(entry: Entry, by: tuple[str, ...], known: Known, issues: Issues) -> str:
    key = entry.key
    match key.value:
        case None if not key.style:
            return "null"
        case bool() as flag:
            return "true" if flag else "false"
    if by == ("dataset",) and known.columns is not None and key.text not in known.sources:
        issues.add(key.place, f"no source is named {key.text!r}{suggestion(key.text, known.sources, 'sources')}")
    if key.text.count(",") < len(by) - 1:
        issues.add(key.place, f'{key.text!r} names one value, `by` has {len(by)} properties: write "value1,value2"')
    return key.text
