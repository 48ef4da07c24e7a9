"""Why a plan does not deliver a sample, as precisely as the plan knows.

A plan holds the samples of its components, with what exclusions and earlier plans take out of them. Of the other ones
it only has counts per source: where they leave one reason, that is it.
"""

from __future__ import annotations

import msgspec
import numpy as np

from mixtera.arrow import to_numpy
from mixtera.artifact.model import ROW_BITS, PlanData
from mixtera.artifact.pointers import Standing
from mixtera.explanation.uncut import document_of, uncut
from mixtera.plan import Plan


class _Source(msgspec.Struct, frozen=True):
    """What the compiler counted of a source, by what became of the samples."""

    name: str
    rows: int
    dropped: int = 0
    held_out: int = 0
    unassigned: int = 0
    weightless: int = 0


class _Definition(msgspec.Struct, frozen=True):
    filter: str | None = None


class _Facts(msgspec.Struct, frozen=True):
    sources: tuple[_Source, ...] = ()
    definition: _Definition = _Definition()


def absence(plan: Plan, sample: int) -> str:
    """Why a sample that `plan.locate` does not find, up to the plan's end, is not delivered.

    Args:
        plan: The plan.
        sample: A sample id of its files.

    Returns:
        The end of a sentence, such as "it is one of the 20 rows of web that the filter drops".
    """
    document = document_of(plan, sample)
    if document is not None:
        return uncut(plan, document)
    standing = plan.pointers.standing(sample)
    return _of_source(plan.data, sample) if standing is None else _of_component(plan, standing)


def may_come(plan: Plan, sample: int) -> bool:
    """Whether a plan without end can deliver a sample at some time."""
    document = document_of(plan, sample)
    if document is not None:
        return document.tokens > 0
    standing = plan.pointers.standing(sample)
    return standing is not None and not standing.excluded


def _of_component(plan: Plan, standing: Standing) -> str:
    name = plan.data.components[standing.component].name
    if standing.excluded:
        return f"it is of component {name}, and a list under `exclude` names it"
    begins = plan.data.begins
    if standing.earlier and begins is not None:
        return (
            f"it is of component {name}, and was delivered before position {begins.position:,}, where this plan takes "
            f"over from {begins.name!r} ({begins.plan}); ask that one"
        )
    total = plan.data.timeline.total
    if standing.place is None or total is None:
        return f"it is of component {name}"
    given = int(plan.data.timeline.filled(np.array([total]))[0, standing.component])
    return (
        f"it would be sample {standing.place + 1:,} of component {name}, and the plan ends after {given:,} of that "
        "component"
    )


def _of_source(data: PlanData, sample: int) -> str:
    file = int(np.flatnonzero(to_numpy(data.files.column("file_id")) == sample >> ROW_BITS)[0])
    of_file = to_numpy(data.files.column("source"))
    source = data.sources[int(of_file[file])].name
    rows = int(to_numpy(data.files.column("rows"))[of_file == of_file[file]].sum())
    facts = _facts_of(data)
    found = next((one for one in facts.sources if one.name == source), None)
    reasons = [] if found is None else _reasons(found, rows, facts.definition.filter)
    if not reasons:
        return "no component has it"
    if len(reasons) == 1:
        count, reason = reasons[0]
        return f"it is {'the one row' if count == 1 else f'one of the {count:,} rows'} of {source} that {reason}"
    listed = ", ".join(f"{count:,} are those that {reason}" for count, reason in reasons)
    return f"no component has it; of the {rows:,} rows of {source}, {listed}"


def _reasons(source: _Source, rows: int, filter_: str | None) -> list[tuple[int, str]]:
    """How many rows of a source no component has, for each reason that there is."""
    condition = f" ({filter_})" if filter_ else ""
    reasons = [
        (rows - source.rows, "hold no sample (blank, or skipped as bad)"),
        (source.dropped, f"the filter drops{condition}"),
        (source.held_out, "`holdout` keeps on the other side of the split"),
        (source.unassigned, "no component asks for"),
        (source.weightless, "only components of weight 0 ask for"),
    ]
    return [(count, reason) for count, reason in reasons if count]


def _facts_of(data: PlanData) -> _Facts:
    """What the compiler wrote down; nothing where the plan was made otherwise."""
    try:
        return msgspec.convert(data.facts, _Facts)
    except msgspec.ValidationError:
        return _Facts()
