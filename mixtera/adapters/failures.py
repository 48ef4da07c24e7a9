"""What one process failed with, told to those that it reads for: as JSON, not pickled."""

from __future__ import annotations

import json
from typing import Final

import mixtera.errors
from mixtera.errors import MixteraError

_REFUSALS: Final = ("SampleError", "StorageError", "PlanError", "StateError", "JobError", "ServiceError")
"""Errors that the others raise as they are; anything else becomes a MixteraError."""


def told(error: BaseException) -> bytes:
    """A failure as bytes."""
    return json.dumps([type(error).__name__, str(error) or type(error).__name__]).encode()


def understood(payload: bytes) -> MixteraError:
    """The failure, as the others raise it."""
    name, text = json.loads(payload)
    kind: type[MixteraError] = getattr(mixtera.errors, name) if name in _REFUSALS else MixteraError
    return kind(f"the rank that reads for this one failed: {text}")
