"""Two sides compared: everything put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from mixtera.cached import cached_property
from mixtera.comparison.divergence import divergence, first_position
from mixtera.comparison.files import all_files
from mixtera.comparison.model import COMPARISON_VERSION, Report, SideSummary
from mixtera.comparison.parts import budget, end, parts, stages
from mixtera.comparison.samples import samples
from mixtera.comparison.side import Side
from mixtera.comparison.text import text
from mixtera.lockfile.difference import Change, LockDifference
from mixtera.lockfile.model import Scalar


@dataclass(frozen=True)
class Comparison:
    """What changes from one side to another. `str()` is the text for people, `to_json` the same values for programs.

    Attributes:
        report: The values.
    """

    report: Report

    @cached_property
    def _text(self) -> str:
        return text(self.report)

    def __str__(self) -> str:
        return self._text

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values; keys are the attributes of `mixtera.comparison.model.Report`."""
        values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.report))
        return values


def compare(before: Side, after: Side, *, batch: int | None = None, until: int | None = None) -> Comparison:
    """Compare two specs, plans or locks. Reads no sample.

    Args:
        before: The first side.
        after: The second.
        batch: Samples of a step over all ranks, to tell from which step on samples differ.
        until: Compare the orders before this position only.
    """
    found = before.lock.difference(after.lock)
    both = None
    if before.plan is not None and after.plan is not None:
        one, other = before.plan.data, after.plan.data
        files = all_files(one, other, _changed(found))
        both = samples(one, other, files), divergence(before.plan, after.plan, files, batch=batch, until=until)
    renamed = {} if both is None else dict(both[0].renamed)
    return Comparison(
        Report(
            mixtera_comparison=COMPARISON_VERSION,
            same=not found.moved,
            before=_summary(before),
            after=_summary(after),
            settings=(*found.settings, *_more_settings(before, after)),
            parts=parts(before, after, renamed),
            samples=None if both is None else both[0],
            sources=found.sources,
            stages=None if before.data is None or after.data is None else stages(before.data, after.data, renamed),
            end=Change("end", end(before), end(after)),
            divergence=None if both is None else both[1],
            spec=tuple(found.spec_lines(before.label, after.label)),
        )
    )


def _changed(found: LockDifference) -> set[tuple[str, str]]:
    return {
        (source.name, file.name)
        for source in found.sources
        for file in source.files
        if file.before is not None and file.after is not None
    }


def _summary(side: Side) -> SideSummary:
    body = side.lock.body
    unit = body.unit if side.data is None else side.data.unit
    return SideSummary(side.label, side.kind, body.name, body.plan, body.positions, body.samples, unit)


def _more_settings(before: Side, after: Side) -> tuple[Change[Scalar], ...]:
    """What only plans know."""
    if before.data is None or after.data is None:
        return ()
    found: tuple[Change[Scalar], ...] = (
        Change("first position", first_position(before.data), first_position(after.data)),
        Change("budget", budget(before.data), budget(after.data)),
    )
    return tuple(one for one in found if one.before != one.after)
