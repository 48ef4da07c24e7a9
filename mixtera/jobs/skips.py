"""What the streams of a job deliver in place of samples that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from mixtera.artifact.skips import Skip
from mixtera.errors import JobError
from mixtera.jobs.port import JobPort

OnUnreadable: TypeAlias = Literal["fail", "skip"]
"""What streams do where a sample cannot be read."""


@dataclass(frozen=True)
class JobSkips:
    """See `mixtera.stream.skips.Skips`.

    Attributes:
        port: The job.
        most: How many the run may have; 0: no more than it has.
    """

    port: JobPort
    most: int

    def known(self) -> tuple[Skip, ...]:
        """See `Skips`."""
        return self.port.skips()

    def add(self, skips: Sequence[Skip]) -> tuple[Skip, ...]:
        """See `Skips`."""
        return self.port.skip(skips, self.most)


def most_of(on_unreadable: str, most_skipped: int) -> int:
    """Positions at which another sample may come: none, where one that cannot be read is an error.

    Raises:
        JobError: An argument is out of its range.
    """
    if on_unreadable not in get_args(OnUnreadable):
        raise JobError(f"on_unreadable is {on_unreadable!r}; it is {' or '.join(get_args(OnUnreadable))}")
    if isinstance(most_skipped, bool) or not isinstance(most_skipped, int) or most_skipped < 1:
        raise JobError(f"most_skipped is {most_skipped!r}; it must be a whole number from 1")
    return most_skipped if on_unreadable == "skip" else 0
