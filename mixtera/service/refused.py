"""Refusals: what goes back instead of an answer."""

from __future__ import annotations

from typing import Final

import msgspec

from mixtera.errors import AlgorithmError, JobError, MixteraError, PlanError, StateError, StorageError
from mixtera.jobs.messages import Problem, Refusal

UNAVAILABLE: Final = 503
_STATUS: Final[tuple[tuple[type[MixteraError], int], ...]] = (
    (StorageError, UNAVAILABLE),
    (PlanError, 400),
    (StateError, 409),
    (AlgorithmError, 409),
    (JobError, 409),
)


class RefusedError(Exception):
    """A request that is refused.

    Attributes:
        status: HTTP status.
        kind: Word for programs.
        message: What is wrong, and what is allowed.
        close: Whether the connection ends: the rest of the message is not read.
        quiet: Whether the audit log does without it.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        close: bool = False,
        quiet: bool = False,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message
        self.close, self.quiet, self.headers = close, quiet, headers


def refusal_of(error: MixteraError) -> RefusedError:
    """What an error of a job is to a client: those of storage pass, so they are worth another try."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return RefusedError(status, type(error).__name__, str(error))


def body_of(refused: RefusedError) -> bytes:
    """The body of the answer."""
    return msgspec.json.encode(Refusal(Problem(refused.kind, refused.message)))
