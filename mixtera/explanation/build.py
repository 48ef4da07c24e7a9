"""Report: everything put together."""

from __future__ import annotations

from dataclasses import replace

from mixtera.artifact.model import PlanData
from mixtera.explanation.advice import advice
from mixtera.explanation.cost import Meter, costs, wanted_whole
from mixtera.explanation.course import course
from mixtera.explanation.events import events
from mixtera.explanation.facts import facts_of
from mixtera.explanation.limits import limit_of
from mixtera.explanation.mixture import components, end_of, tree
from mixtera.explanation.model import EXPLANATION_VERSION, BoundedShare, Overlap, Report
from mixtera.explanation.moved import moved
from mixtera.explanation.overview import memory_of, order_summary, plan_summary, selection_of, sources_of
from mixtera.explanation.progress import progress
from mixtera.explanation.reading import reading
from mixtera.explanation.steered import steered_of
from mixtera.explanation.tokens import tokens_of
from mixtera.explanation.units import units_of
from mixtera.explanation.waterfall import waterfall


def report(
    data: PlanData,
    digest: str,
    readers: int | None = None,
    overlap: tuple[Overlap, ...] | None = None,
    batch: int | None = None,
    machines: int = 1,
) -> Report:
    """Everything that can be said of a plan, a pure function of it.

    Args:
        data: The plan.
        digest: Its digest.
        readers: Readers (ranks × workers) to compare with one.
        overlap: Components whose predicates overlap; None when it was not looked for.
        batch: Samples of a training step; by default that of the spec's budget, where it has one.
        machines: Machines that the readers are on, as many on each.
    """
    facts = facts_of(data.facts)
    end = end_of(data, facts)
    mixture, spans = tree(data, facts.weights, end), course(data, facts)
    parts, batch = components(mixture), batch or facts.batch
    units = units_of(data)
    here = (readers or 1) // machines
    meter = Meter(units, wanted=wanted_whole(data, readers or 1, here), here=here)
    read = reading(data, readers, units, meter)
    found = Report(
        mixtera_explanation=EXPLANATION_VERSION,
        plan=plan_summary(data, digest, facts),
        sources=sources_of(data, facts),
        selection=selection_of(data, facts),
        by=facts.by,
        mixture=mixture,
        budget=facts.budget,
        batch=batch,
        course=spans,
        progress=progress(data, spans, parts),
        events=events(data, end, parts, batch),
        end=end,
        limit=limit_of(data, facts, end, parts),
        waterfall=waterfall(data, facts, parts),
        overlap=overlap,
        reading=read,
        cost=costs(data, meter, read.many or read.one),
        memory=memory_of(data),
        order=order_summary(data),
        bounded=tuple(BoundedShare(found.name, found.at, found.asked, found.share) for found in facts.bounded),
        tokens=tokens_of(data),
        steered=steered_of(data, batch),
    )
    found = moved(found, data.first)
    return replace(found, warnings=advice(found))
