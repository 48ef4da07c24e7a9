"""History: what the training has reported, in memory: the whole run, coarser the longer it is."""

from __future__ import annotations

import threading
import time
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
        at: When it came in, in seconds of a clock that only ascends.
    """

    step: int
    losses: tuple[float | None, ...]
    position: int | None
    at: float


class History:
    """The reports of one job since the service began. Any thread may read it."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self._guard = threading.Lock()
        self._kept: list[Heard] = []
        self._every = 1
        self._count = 0
        self._last: Heard | None = None

    def note(self, report: Report) -> None:
        """Take a report in; one whose step is not after the last does not count."""
        report = clean_report(report)
        with self._guard:
            if self._last is not None and report.step <= self._last.step:
                return
            pairs = zip(report.loss_sum, report.loss_count, strict=True)
            losses = tuple(total / count if count > 0 else None for total, count in pairs)
            self._last = Heard(report.step, losses, report.position, time.monotonic())
            if self._count % self._every == 0:
                self._kept.append(self._last)
            self._count += 1
            if len(self._kept) >= 2 * MOST:
                self._kept = self._kept[::2]
                self._every *= 2

    @property
    def last(self) -> Heard | None:
        """The last report; None before the first."""
        return self._last

    def reports(self) -> tuple[Heard, ...]:
        """Some of the reports, evenly over all of them, and the last."""
        with self._guard:
            more = () if self._last is None or self._last in self._kept[-1:] else (self._last,)
            return (*self._kept, *more)
