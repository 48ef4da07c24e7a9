"""The plans of all sources after all rules; what sources have in common is done once.

Thousands of sources have few kinds of plans: those with the same properties differ in what is said of `dataset`. So
sources for which every predicate on `dataset` is decided alike share the work of all rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from mixtera.compiler.build import SourcePlan
from mixtera.compiler.conditions import conditions_of, over
from mixtera.compiler.nodes import Condition, Constant, Emit, Scan
from mixtera.compiler.rewrite import rewrite_plan
from mixtera.compiler.rules import RULES
from mixtera.compiler.rules.drop_unreachable import drop_unreachable
from mixtera.compiler.rules.expand_matches import expand_matches
from mixtera.compiler.rules.fold_dataset import decided, fold_dataset
from mixtera.spec.predicate import And, Compare, In, Not, Or, Predicate
from mixtera.spec.typing import columns

_Key: TypeAlias = tuple[object, ...]

_FIRST = (expand_matches,)
_REST = (fold_dataset, drop_unreachable, *(rule for rule in RULES if rule not in (expand_matches, fold_dataset)))
"""What cannot be reached for a source goes first: the other rules then see what is left."""


def optimised(plans: Sequence[SourcePlan]) -> tuple[SourcePlan, ...]:
    """The plans after all rules."""
    kinds: dict[_Key, _Kind] = {}
    found = []
    for plan in plans:
        key = _kind(plan.plan)
        if key not in kinds:
            kinds[key] = _Kind(rewrite_plan(plan.plan, _FIRST))
        found.append(replace(plan, plan=kinds[key].optimised(plan.plan.scan)))
    return tuple(found)


def _kind(plan: Emit) -> _Key:
    """What plans have in common that differ in their source only; `build` gives them one and the same outcome."""
    scan = plan.scan
    return id(plan.input.outcome), plan.filter, scan.columns, scan.missing, plan.offsets, plan.by, plan.marks


class _Kind:
    """Plans that differ in their source only, with what was made of them so far."""

    def __init__(self, plan: Emit) -> None:
        self._plan = plan
        self._made: dict[_Key, Emit] = {}
        self._true_for: defaultdict[str, list[int]] = defaultdict(list)
        self._others: list[Predicate] = []
        for number, predicate in enumerate(dict.fromkeys(_about_dataset(plan))):
            match predicate:
                case Compare(op="==", value=str(name)):
                    self._true_for[name].append(number)
                case In(negated=False, values=values):
                    for value in values:
                        self._true_for[str(value)].append(number)
                case _:
                    self._others.append(predicate)

    def optimised(self, scan: Scan) -> Emit:
        """The plan of a source after all rules."""
        others = (decided(predicate, scan.source) for predicate in self._others)
        key: _Key = (*self._true_for.get(scan.source, ()), *others)
        if key not in self._made:
            self._made[key] = rewrite_plan(over(self._plan, scan), _REST)
        made = self._made[key]
        return over(made, replace(made.scan, source=scan.source, table=scan.table, keyed=scan.keyed))


def _about_dataset(plan: Emit) -> Iterator[Predicate]:
    found: list[Condition] = [plan.filter, *conditions_of(plan.input.outcome), *(mark for _, mark in plan.marks)]
    for condition in found:
        if not isinstance(condition, Constant):
            yield from (leaf for leaf in _leaves(condition) if columns(leaf) == ("dataset",))


def _leaves(predicate: Predicate) -> Iterator[Predicate]:
    match predicate:
        case And(terms) | Or(terms):
            for term in terms:
                yield from _leaves(term)
        case Not(term):
            yield from _leaves(term)
        case _:
            yield predicate
