"""The public function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from mixtera.errors import PlanError
from mixtera.explanation.advice import lock_moved
from mixtera.explanation.build import report
from mixtera.explanation.model import Overlap, Report
from mixtera.explanation.text import text
from mixtera.plan import Plan

if TYPE_CHECKING:
    from mixtera.compiler import Overlap as Claimed


@dataclass(frozen=True)
class Explanation:
    """What a plan will do. `str()` is the text for people, `to_json` the same values for programs.

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


def explain(
    plan: Plan, *, readers: int | None = None, overlap: Sequence[Claimed] | None = None, moved: str | None = None
) -> Explanation:
    """Explain a plan: mixture, epochs, end, reading, memory, and warnings that name the fix. Reads no sample.

    Args:
        plan: The plan.
        readers: Readers (ranks × workers) that the training will have: how much more they read than one.
        overlap: What `mixtera.compiler.overlap(spec, catalog)` found; a plan alone does not know it.
        moved: Why the lock of its spec does not hold, where it does not: the first warning.

    Raises:
        PlanError: `readers` is not positive.
    """
    if readers is not None and readers < 1:
        raise PlanError(f"readers is {readers}; it must be at least 1 (ranks × workers of a rank)")
    pairs = None if overlap is None else tuple(Overlap(pair.first, pair.second, pair.samples) for pair in overlap)
    found = report(plan.data, plan.digest, readers, pairs)
    return Explanation(found if moved is None else replace(found, warnings=(lock_moved(moved), *found.warnings)))
