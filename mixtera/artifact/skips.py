"""Skips: what a job delivered in place of samples that could not be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Skip:
    """A sample that could not be read when it was its turn.

    Attributes:
        position: Its position, counted from the plan's first.
        sample: Its id.
        instead: Id of the sample of the same component that was delivered there.
        place: Source, file and row of the one that was skipped.
        reason: Why it could not be read.
    """

    position: int
    sample: int
    instead: int
    place: str
    reason: str
