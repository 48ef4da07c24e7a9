"""History: what the training has reported, in memory: the whole run, coarser the longer it is.

After a restart of the service it comes from the journal, where the plan follows the training.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mixtera.jobs.model import Report, clean_report

MOST: Final = 512
"""Reports that are kept; of twice as many, every second one."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A report, as it is shown later.

    Attributes:
        step: The step.
        losses: Mean loss of each component; None for one that did not come.
        position: Position after the step, counted from the plan's first; None where it is not known.
        at: When it came in, in seconds of a clock that only ascends; None where that was before the service began.
    """

    step: int
    losses: tuple[float | None, ...]
    position: int | None
    at: float | None


class History:
    """The reports of one job. Any thread may read it."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self._guard = threading.Lock()
        self._kept: list[Heard] = []
        self._every = 1
        self._count = 0
        self._last: Heard | None = None

    def note(self, report: Report) -> None:
        """Take a report in; one whose step is not after the last does not count."""
        with self._guard:
            self._keep(_heard(report, time.monotonic()))

    def remember(self, reports: Iterable[Report]) -> None:
        """Put reports before those that were noted: what was said before the service began."""
        before = History()
        for report in reports:
            before._keep(_heard(report, None))
        with self._guard:
            for heard in self._all():
                before._keep(heard)
            self._kept, self._every, self._count, self._last = before._kept, before._every, before._count, before._last

    @property
    def last(self) -> Heard | None:
        """The last report; None before the first."""
        return self._last

    def reports(self) -> tuple[Heard, ...]:
        """Some of the reports, evenly over all of them, and the last."""
        with self._guard:
            return self._all()

    def _all(self) -> tuple[Heard, ...]:
        more = () if self._last is None or self._last in self._kept[-1:] else (self._last,)
        return (*self._kept, *more)

    def _keep(self, heard: Heard) -> None:
        if self._last is not None and heard.step <= self._last.step:
            return
        self._last = heard
        if self._count % self._every == 0:
            self._kept.append(heard)
        self._count += 1
        if len(self._kept) >= 2 * MOST:
            self._kept = self._kept[::2]
            self._every *= 2


def _heard(report: Report, at: float | None) -> Heard:
    report = clean_report(report)
    pairs = zip(report.loss_sum, report.loss_count, strict=True)
    return Heard(
        report.step, tuple(total / count if count > 0 else None for total, count in pairs), report.position, at
    )
