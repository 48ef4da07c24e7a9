"""Guide: tells a stream the timeline of a plan that follows the training, round by round, as it becomes known."""

from __future__ import annotations

from typing import Protocol

from mixtera.order.promised import Promised


class Guide(Protocol):
    """Rounds are counted from 0, from the plan's first position. What is promised does not change any more.

    Attributes:
        timeline: What is promised until now.
    """

    timeline: Promised

    def ask(self, first: int, rounds: int) -> None:
        """Ask that all rounds before `rounds` be promised; returns at once.

        Args:
            first: The first round whose timeline the stream still needs.
            rounds: The round after the last that it wants.
        """

    def wait(self, rounds: int) -> None:
        """Return when all rounds before `rounds` are promised; asks for them where nobody has.

        Raises:
            JobError: The job is gone, or refuses.
            ServiceError: The service cannot be reached.
        """

    def is_promised(self, rounds: int) -> bool:
        """Whether all rounds before `rounds` are promised."""
