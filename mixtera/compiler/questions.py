"""What an engine is asked: sources whose plans differ in their labels alone are asked together, in one query.

A query costs some hundredths of a second before its first row. So thousands of small sources cost what their rows cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import count
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mixtera.compiler.build import SourcePlan
from mixtera.compiler.conditions import labels_of, over, with_outcome
from mixtera.compiler.nodes import NO_LABEL, Branch, Choose, Emit, Outcome, Scan, Take

Labels: TypeAlias = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Question:
    """What is asked of some sources.

    Attributes:
        text: What is asked, as text; equal where the answers are.
        plan: The same as a plan: its labels count from 0 in the order in which they appear, its table is that of all
            of the sources.
        sources: Numbers of the sources, ascending.
        labels: For each source, what the labels of the plan are in the mixture; the last stands for `NO_LABEL`.
    """

    text: str
    plan: Emit
    sources: tuple[int, ...]
    labels: tuple[Labels, ...]


def questions(plans: Sequence[SourcePlan]) -> list[Question]:
    """What has to be asked to label the rows of all sources that have any, each source once."""
    texts: dict[tuple[object, ...], tuple[str, Emit, Labels]] = {}
    asked: dict[str, list[tuple[int, Labels]]] = {}
    first: dict[str, Emit] = {}
    for number, source in enumerate(plans):
        if source.indexed.is_empty:
            continue
        plan, scan = source.plan, source.plan.scan
        same = id(plan.input.outcome), plan.filter, scan.columns, plan.offsets, plan.by, plan.marks
        if same not in texts:
            texts[same] = _numbered(plan)
        text, numbered, labels = texts[same]
        if scan.keyed is not None:
            text = f"{text} of {scan.table!r}"  # a table of others has names of files of its own
        asked.setdefault(text, []).append((number, labels))
        first.setdefault(text, over(numbered, scan))
    return [_question(text, first[text], found) for text, found in asked.items()]


def _question(text: str, plan: Emit, asked: Sequence[tuple[int, Labels]]) -> Question:
    more = len(asked) - 1
    table = f"{plan.scan.table} and {more:,} more" if more else plan.scan.table
    sources, labels = zip(*asked, strict=True)
    return Question(text, over(plan, replace(plan.scan, table=table)), sources, labels)


def _numbered(plan: Emit) -> tuple[str, Emit, Labels]:
    """The plan of a source as text and with labels counted through, and what they are in the mixture."""
    labels = np.array([*labels_of(plan.input.outcome), NO_LABEL], np.int32)
    numbered = with_outcome(plan, _counted(plan.input.outcome, count()))
    return repr(_plain(over(numbered, Scan("", "", plan.scan.columns)))), numbered, labels


def _counted(outcome: Outcome, labels: Iterator[int]) -> Outcome:
    if isinstance(outcome, Take):
        return Take(next(labels))
    return Choose(tuple(Branch(branch.condition, _counted(branch.then, labels)) for branch in outcome.branches))


def _plain(value: object) -> object:
    """A plan as plain values, without where its predicates stand in a spec: two that mean the same are equal."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if not is_dataclass(value):
        return value
    return (type(value).__name__, *(_plain(getattr(value, f.name)) for f in fields(value) if f.name != "span"))
