"""Records: what a journal holds, one JSON document a line, each with a checksum.

A record says what came of it, too: a release that would decide differently reads the same timeline.
"""

from __future__ import annotations

import zlib
from typing import Any, Final, TypeAlias

import msgspec

from mixtera.artifact.skips import Skip
from mixtera.jobs.model import Change, Report, Topology

VERSION: Final = 1
"""Version of the records that this release writes, and the newest that it reads."""


class Began(msgspec.Struct, frozen=True, tag="began", tag_field="kind"):
    """The first record: what the job is of."""

    version: int
    plan: str
    """The plan's digest."""
    path: str
    """Where the plan lies; a relative path is meant from the job's directory."""
    name: str


class Asked(msgspec.Struct, frozen=True, tag="promised", tag_field="kind"):
    """Rounds before `rounds` are promised."""

    rounds: int


class Reported(msgspec.Struct, frozen=True, tag="reported", tag_field="kind"):
    """Feedback, and the weights that it brought."""

    report: Report
    change: Change | None = None


class Fitted(msgspec.Struct, frozen=True, tag="fitted", tag_field="kind"):
    """The result of a fit, and the weights that the reports brought that waited for it."""

    step: int
    data: dict[str, Any]
    change: Change | None = None


class Joined(msgspec.Struct, frozen=True, tag="joined", tag_field="kind"):
    """Who reads from now on."""

    topology: Topology


class Kept(msgspec.Struct, frozen=True, tag="checkpoint", tag_field="kind"):
    """A checkpoint of the training stands at a position."""

    position: int


class Skipped(msgspec.Struct, frozen=True, tag="skipped", tag_field="kind"):
    """Samples that could not be read, and what is delivered in their place, whatever can be read later."""

    skips: tuple[Skip, ...]


Record: TypeAlias = Began | Asked | Reported | Fitted | Joined | Kept | Skipped


class _Line(msgspec.Struct, frozen=True):
    crc: int
    record: msgspec.Raw


_ENCODER: Final = msgspec.json.Encoder()
_LINES: Final = msgspec.json.Decoder(_Line)
_RECORDS: Final[msgspec.json.Decoder[Record]] = msgspec.json.Decoder(Record)


def line(record: Record) -> bytes:
    """A record as a line, its end included."""
    raw = _ENCODER.encode(record)
    return _ENCODER.encode(_Line(zlib.crc32(raw), msgspec.Raw(raw))) + b"\n"


def record(line: bytes) -> Record:
    """A line as a record.

    Raises:
        ValueError: It is damaged, or of a newer release.
    """
    found = _LINES.decode(line)  # a msgspec.DecodeError is a ValueError
    if zlib.crc32(found.record) != found.crc:
        raise ValueError("its checksum differs")
    return _RECORDS.decode(found.record)
