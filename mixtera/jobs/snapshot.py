"""Snapshots: the sum of a journal up to a line, so that a job opens without reading all of it again.

They are a shortcut and nothing else: one that is missing, damaged or of another version is passed over.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path
from tempfile import mkstemp
from typing import Any, Final

import msgspec

from mixtera.artifact.skips import Skip
from mixtera.jobs.model import JobState, Report, Topology
from mixtera.order.steered import Steered
from mixtera.order.timeline import Phase, Timeline

NAME: Final = "snapshot.json"
VERSION: Final = 2
"""Of the sum: with another one, what a journal holds is added up again."""


class _Course(msgspec.Struct, frozen=True):
    order_version: int
    phases: tuple[tuple[int, tuple[float, ...], tuple[int, ...]], ...]
    total: int | None
    since: int
    weights: tuple[float, ...]
    owed: tuple[float, ...]


class _State(msgspec.Struct, frozen=True):
    course: _Course
    promised: int
    step: int
    steering: dict[str, Any] | None
    held: tuple[Report, ...]
    topology: Topology | None
    checkpoint: int | None
    changes: int
    skips: tuple[Skip, ...]


class _Body(msgspec.Struct, frozen=True):
    version: int
    plan: str
    end: int
    records: int
    state: _State


class _Document(msgspec.Struct, frozen=True):
    crc: int
    body: msgspec.Raw


def write(directory: Path, plan: str, end: int, records: int, state: JobState) -> None:
    """Write a snapshot in one step; where it cannot be written, the old one stays."""
    raw = msgspec.json.encode(_Body(VERSION, plan, end, records, _stored(state)))
    content = msgspec.json.encode(_Document(zlib.crc32(raw), msgspec.Raw(raw)))
    with contextlib.suppress(OSError):
        handle, name = mkstemp(prefix=".snapshot.", dir=directory)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(directory / NAME)
        except OSError:
            Path(name).unlink(missing_ok=True)


def read(directory: Path, plan: str, size: int) -> tuple[int, int, JobState] | None:
    """The end and the number of the lines that a snapshot holds, and the state; None where there is none to use.

    Args:
        directory: The job's directory.
        plan: Digest of the job's plan.
        size: Bytes of the journal.
    """
    try:
        document = msgspec.json.decode((directory / NAME).read_bytes(), type=_Document)
        if zlib.crc32(document.body) != document.crc:
            return None
        body = msgspec.json.decode(document.body, type=_Body)
    except (OSError, msgspec.MsgspecError):
        return None
    known = (body.version, body.plan) == (VERSION, plan) and body.end <= size
    return (body.end, body.records, _loaded(body.state)) if known else None


def _stored(state: JobState) -> _State:
    course, timeline = state.course, state.course.timeline
    phases = tuple((phase.first, phase.weights, phase.base) for phase in timeline.phases)
    version = timeline.order_version
    return _State(
        _Course(version, phases, timeline.total, course.since, course.weights, course.owed),
        *(getattr(state, name) for name in JobState.__slots__ if name != "course"),
    )


def _loaded(stored: _State) -> JobState:
    course = stored.course
    phases = tuple(Phase(first, weights, base, course.order_version) for first, weights, base in course.phases)
    steered = Steered(Timeline(phases, course.total), course.since, course.weights, course.owed)
    return JobState(steered, *(getattr(stored, name) for name in JobState.__slots__ if name != "course"))
