"""Reads `schedule:`, the weights of components over time."""

from __future__ import annotations

import re
from collections.abc import Sequence as Values
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from mixtera.spec import keys
from mixtera.spec.document import Mapping, Scalar, Sequence, describe
from mixtera.spec.fields import Fields, number_of
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.known import Known
from mixtera.spec.model import Change, Component, Ramp


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry as far as it could be read; None for what could not."""

    fields: Fields
    at: int | None
    until: int | None
    weights: tuple[float, ...] | None
    ramp: Ramp | None


def read_schedule(outer: Fields, names: Values[str] | None, known: Known, issues: Issues) -> tuple[Change, ...]:
    """The schedule of some components; empty where there is none or nothing in it is right.

    Args:
        outer: The section that holds it.
        names: Names of the components; None where they could not all be read, so that none is called unknown.
        known: The budget, for parts of it, and the unit that positions are written in.
        issues: Takes the issues.
    """
    node = outer.node("schedule")
    if node is None:
        return ()
    if not isinstance(node, Sequence) or not node.items:
        found = "an empty list" if isinstance(node, Sequence) else describe(node)
        issues.add(outer.key_place("schedule"), f"schedule: expected a list of entries, found {found}")
        return ()
    entries = [_Reader(item, names, known, issues).entry() for item in node.items if _is_mapping(item, issues)]
    _check_sequence(entries, issues)
    return tuple(
        Change(entry.at, entry.weights, entry.ramp, entry.until, entry.fields.place)
        for entry in entries
        if entry.at is not None and entry.weights is not None
    )


def check_start(changes: Values[Change], components: Values[Component], issues: Issues) -> None:
    """Report a schedule that begins late, or with a ramp, where some component has no weight to begin with."""
    lacking = [component.name for component in components if component.weight is None]
    if lacking and changes and (changes[0].at > 0 or changes[0].ramp is not None):
        first = changes[0]
        begin = f"a {first.ramp} ramp" if first.ramp else f"position {first.at:,}"
        issues.add(
            first.place,
            f"the schedule begins with {begin}, and nothing says the weights before it: begin with an entry "
            f"`at: 0` without ramp, or give a `weight` to {', '.join(lacking)}",
        )


def _is_mapping(node: object, issues: Issues) -> bool:
    if not isinstance(node, Mapping) and isinstance(node, Scalar | Sequence):
        issues.add(node.place, f"expected an entry such as {{at: 0, weights: {{web: 1}}}}, found {describe(node)}")
    return isinstance(node, Mapping)


class _Reader:
    """Reads one entry."""

    def __init__(self, node: object, names: Values[str] | None, known: Known, issues: Issues) -> None:
        assert isinstance(node, Mapping)
        self._fields = Fields(node, keys.CHANGE, issues)
        self._names, self._known, self._issues = names, known, issues
        self._budget = known.budget

    def entry(self) -> _Entry:
        fields = self._fields
        batch = fields.whole("batch", 1, keys.LARGEST)
        batch = batch or (self._budget.batch if self._budget else None)
        ramp = cast(Ramp | None, fields.choice("ramp", keys.RAMPS))
        at, until = self._start(batch), self._until(batch)
        if at is not None and until is not None and until <= at:
            message = f"the ramp ends at position {until:,}, which is not after its begin at {at:,}"
            self._issues.add(fields.place, message)
            until = None
        return _Entry(fields, at, until, self._weights(), ramp if until is not None else None)

    def _start(self, batch: int | None) -> int | None:
        fields = self._fields
        if "at" in fields and "step" in fields:
            self._issues.add(fields.key_place("step"), "`at` and `step` exclude each other: a position, or a step")
            return None
        if fields.is_absent("at") and fields.is_absent("step"):
            self._issues.add(fields.place, "an entry of schedule needs `at` (a position) or `step` (with `batch`)")
        return self._position("at", "step", batch)

    def _until(self, batch: int | None) -> int | None:
        fields = self._fields
        for mine, other, start in (("until", "until_step", "step"), ("until_step", "until", "at")):
            if mine in fields and start in fields:
                self._issues.add(fields.key_place(mine), f"`{mine}` does not go with `{start}`: write `{other}`")
                return None
        has_end = not (fields.is_absent("until") and fields.is_absent("until_step"))
        if "ramp" in fields and not has_end:
            end = "until_step" if "step" in fields else "until"
            message = f"a ramp needs `{end}`: where its weights are reached"
            self._issues.add(fields.key_place("ramp"), message)
        if has_end and fields.is_absent("ramp"):
            name = "until" if "until" in fields else "until_step"
            self._issues.add(
                fields.key_place(name),
                f"`{name}` goes with `ramp` (linear or cosine); without a ramp the weights hold until the next entry",
            )
            return None
        return self._position("until", "until_step", batch)

    def _position(self, name: str, step_name: str, batch: int | None) -> int | None:
        if step_name in self._fields:
            return self._step(step_name, batch)
        node = self._fields.node(name)
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return self._part(name, node)
        return self._counted(self._fields.whole(name, 0, keys.LARGEST_POSITION))

    def _counted(self, written: int | None) -> int | None:
        """A position as the order counts it: of the first sequence that begins at so many tokens, or after them."""
        tokens = self._known.tokens
        if written is None or self._known.unit == "samples" or tokens is None:
            return written
        return -(-written // tokens.sequence_length)

    def _step(self, name: str, batch: int | None) -> int | None:
        step = self._fields.whole(name, 0, keys.LARGEST_POSITION)
        if batch is None and "batch" not in self._fields:
            message = f"{name}: steps of how many samples? Add `batch` (samples of a step over all ranks)"
            self._issues.add(self._fields.key_place(name), message)
        return None if step is None or batch is None else step * batch

    def _part(self, name: str, node: Scalar) -> int | None:
        match = re.fullmatch(keys.PERCENT, node.text)
        if match is None:
            message = f"{name}: expected a position such as 200000 or a part of the budget such as 25%"
            self._issues.add(node.place, f"{message}, found {describe(node)}")
        elif self._budget is None:
            message = f"{name}: {node.text} of which budget? Add `budget: {{samples: …}}` to the mixture, or write"
            self._issues.add(node.place, f"{message} a position")
        else:
            return int(Fraction(match[1]) * self._budget.samples / 100)
        return None

    def _weights(self) -> tuple[float, ...] | None:
        node = self._fields.mapping("weights")
        if node is None:
            return None
        found = {e.key.text: number_of(e.value, f"weight of {e.key.text!r}", self._issues) for e in node.entries}
        if self._names is None:
            return None
        for entry in node.entries:
            if entry.key.text not in self._names:
                hint = suggestion(entry.key.text, self._names, "components")
                self._issues.add(entry.key.place, f"no component here is named {entry.key.text!r}{hint}")
        missing = [name for name in self._names if name not in found]
        if missing:
            message = f"the weights of {', '.join(missing)} are missing: every entry names every component"
            self._issues.add(node.place, f"{message} (0 for none)")
        elif None not in found.values() and not any(found[name] for name in self._names):
            self._issues.add(node.place, "these weights sum to zero; give one of them a weight above 0")
        return tuple(found.get(name) or 0.0 for name in self._names)


def _check_sequence(entries: Values[_Entry], issues: Issues) -> None:
    """Report entries that do not ascend, stand at one point, or begin inside a ramp."""
    before: _Entry | None = None
    for entry in entries:
        if entry.at is None:
            continue
        if before is not None and before.at is not None:
            line = f"the entry in line {before.fields.place.line}"
            if entry.at == before.at:
                issues.add(entry.fields.place, f"two entries at position {entry.at:,}: {line} is there already")
            elif entry.at < before.at:
                message = f"entries ascend: position {entry.at:,} stands after {before.at:,} of {line}"
                issues.add(entry.fields.place, message)
            elif before.until is not None and entry.at < before.until:
                message = f"position {entry.at:,} lies inside the ramp of {line}, which ends at {before.until:,}"
                issues.add(entry.fields.place, f"{message}: ramps cannot overlap; begin there or later")
        before = entry
