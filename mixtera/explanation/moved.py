"""Positions of the run: a plan that continues another counts from where it takes over, its report from 0."""

from __future__ import annotations

from dataclasses import replace

from mixtera.explanation.model import Part, Report


def moved(report: Report, first: int) -> Report:
    """The report of a plan with all of its positions in those of the run.

    Args:
        report: In positions counted from the plan's first.
        first: The plan's first position.
    """
    if not first:
        return report
    batch = report.batch
    return replace(
        report,
        mixture=tuple(_part(part, first) for part in report.mixture),
        budget=None if report.budget is None else report.budget + first,
        course=tuple(
            replace(span, first=span.first + first, last=None if span.last is None else span.last + first)
            for span in report.course
        ),
        progress=replace(report.progress, positions=tuple(p + first for p in report.progress.positions)),
        events=tuple(
            replace(one, position=one.position + first, step=None if batch is None else (one.position + first) // batch)
            for one in report.events
        ),
        end=replace(report.end, changes=tuple(change + first for change in report.end.changes)),
    )


def _part(part: Part, first: int) -> Part:
    ends = part.first_epoch_ends
    return replace(
        part,
        first_epoch_ends=None if ends is None else ends + first,
        parts=tuple(_part(below, first) for below in part.parts),
    )
