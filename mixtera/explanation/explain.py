"""The public function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from mixtera.cached import cached_property
from mixtera.errors import PlanError
from mixtera.explanation.advice import lock_moved
from mixtera.explanation.build import report
from mixtera.explanation.mermaid import mermaid
from mixtera.explanation.model import Overlap, Report
from mixtera.explanation.text import text
from mixtera.plan import Plan

if TYPE_CHECKING:
    from mixtera.compiler import Overlap as Claimed


@dataclass(frozen=True)
class Explanation:
    """What a plan will do: one report, and its views. `str()` is the text for people.

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
        """The report as JSON values; keys are the attributes of `mixtera.explanation.model.Report`.

        `mixtera_explanation` is the version of this form; it goes up when a key changes its meaning or goes away.
        """
        values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.report))
        return values

    def to_html(self) -> str:
        """The report as one page: no script, nothing loaded, plots as SVG. Needs `mixtera[report]`.

        Raises:
            PluginError: The packages of the extra `report` are not installed.
        """
        from mixtera.explanation.html import html

        return html(self.report)

    def to_mermaid(self) -> str:
        """The way of the samples, from sources to the stream, as a Mermaid flowchart."""
        return mermaid(self.report)


def explain(
    plan: Plan,
    *,
    readers: int | None = None,
    overlap: Sequence[Claimed] | None = None,
    moved: str | None = None,
    batch: int | None = None,
    machines: int = 1,
) -> Explanation:
    """Explain a plan: mixture, epochs, end, reading, memory, and warnings that name the fix. Reads no sample.

    Args:
        plan: The plan.
        readers: Readers (ranks × workers) that the training will have: how much more they read than one.
        overlap: What `mixtera.compiler.overlap(spec, catalog)` found; a plan alone does not know it.
        moved: Why the lock of its spec does not hold, where it does not: the first warning.
        batch: Samples of a training step over all ranks, so that steps can be named; by default that of the spec's
            budget, where it is written in steps.
        machines: Machines that the readers are on, as many on each; those of a machine share what they fetch from S3.

    Raises:
        PlanError: `readers` or `batch` is not positive, or so many readers are not spread evenly over the machines.
    """
    if readers is not None and readers < 1:
        raise PlanError(f"readers is {readers}; it must be at least 1 (ranks × workers of a rank)")
    if machines < 1 or (readers or 1) % machines:
        raise PlanError(
            f"{readers or 1} readers are not spread evenly over {machines} machines: give ranks × workers of all "
            "machines, a multiple of their number"
        )
    if batch is not None and batch < 1:
        raise PlanError(f"batch is {batch}; it must be at least 1 (samples of a step over all ranks)")
    pairs = None if overlap is None else tuple(Overlap(pair.first, pair.second, pair.samples) for pair in overlap)
    found = report(plan.data, plan.digest, readers, pairs, batch, machines)
    return Explanation(found if moved is None else replace(found, warnings=(lock_moved(moved), *found.warnings)))
