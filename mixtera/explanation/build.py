"""Report: everything put together."""

from __future__ import annotations

from dataclasses import replace

from mixtera.artifact.model import PlanData
from mixtera.explanation.advice import advice
from mixtera.explanation.course import course
from mixtera.explanation.facts import facts_of
from mixtera.explanation.mixture import end_of, tree
from mixtera.explanation.model import EXPLANATION_VERSION, BoundedShare, Overlap, Report
from mixtera.explanation.overview import memory_of, order_summary, plan_summary, selection_of, sources_of
from mixtera.explanation.reading import reading


def report(
    data: PlanData, digest: str, readers: int | None = None, overlap: tuple[Overlap, ...] | None = None
) -> Report:
    """Everything that can be said of a plan, a pure function of it.

    Args:
        data: The plan.
        digest: Its digest.
        readers: Readers (ranks × workers) to compare with one.
        overlap: Components whose predicates overlap; None when it was not looked for.
    """
    facts = facts_of(data.facts)
    end = end_of(data, facts)
    found = Report(
        mixtera_explanation=EXPLANATION_VERSION,
        plan=plan_summary(data, digest),
        sources=sources_of(data, facts),
        selection=selection_of(data, facts),
        by=facts.by,
        mixture=tree(data, facts.weights, end),
        budget=facts.budget,
        course=course(data, facts),
        end=end,
        overlap=overlap,
        reading=reading(data, readers),
        memory=memory_of(data),
        order=order_summary(data),
        bounded=tuple(BoundedShare(found.name, found.at, found.asked, found.share) for found in facts.bounded),
    )
    return replace(found, warnings=advice(found))
