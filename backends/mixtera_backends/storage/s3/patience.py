"""How long a request may take, and how long it is tried again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Bounds in seconds. Pauses grow exponentially and are random below their bound, so that readers spread.

    Attributes:
        connect_seconds: For a connection.
        answer_seconds: For the whole answer of a ranged read, and for each part of any other.
        attempts: How often a listing or a description is asked for.
        first_pause_seconds: Bound of the first pause between two attempts to read.
        longest_pause_seconds: Bound of all pauses.
        budget_seconds: A read is tried again until so long after its first attempt.
    """

    connect_seconds: float = 5
    answer_seconds: float = 60
    attempts: int = 6
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 10
    budget_seconds: float = 180
