"""What goes between a service and its clients: JSON. Unknown fields and wrong types are refused, by name.

Positions on the way count from the plan's first, as everywhere in `mixtera.jobs`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from mixtera.artifact.skips import Skip
from mixtera.jobs.model import Report, Topology

PROTOCOL: Final = 1
"""Version of the messages; it stands in the paths, too."""
PREFIX: Final = f"/v{PROTOCOL}"
JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"
BYTES: Final = "application/octet-stream"

NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""Names of jobs, and of plans that jobs may be made of."""

_MOST_STEPS: Final = 1 << 53  # what every JSON reader has as a whole number
_MOST_ROUNDS: Final = 1 << 40
_MOST_READERS: Final = 1 << 24
Whole = Annotated[int, Meta(ge=0, le=_MOST_STEPS)]
Rounds = Annotated[int, Meta(ge=0, le=_MOST_ROUNDS)]
Place = Annotated[int, Meta(ge=0, lt=_MOST_READERS)]
Count = Annotated[int, Meta(ge=1, le=_MOST_READERS)]
SampleId = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Seconds = Annotated[float, Meta(ge=0, le=1e12)]
Numbers = Annotated[tuple[float, ...], Meta(max_length=1 << 16)]
Name = Annotated[str, Meta(pattern=f"^{NAME_PATTERN}$", max_length=100)]
Word = Annotated[str, Meta(max_length=200)]


class PlanFile(msgspec.Struct, frozen=True):
    """A file of a plan; it is asked for by its number in the list."""

    name: str
    bytes: int


class Attached(msgspec.Struct, frozen=True):
    """What a client needs to know of a job."""

    protocol: int
    job: str
    plan: str
    """The plan's digest."""
    name: str
    components: tuple[str, ...]
    url: str | None
    """Where the plan lies, as the server opened it."""
    key: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    """What names copies of the plan."""
    files: tuple[PlanFile, ...]
    """The files of the plan, its document first."""
    role: str
    """What the token allows."""
    skips: tuple[Skip, ...] = ()
    """What was delivered in place of samples that could not be read."""


class PromiseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Promise all rounds before `rounds`, and tell what holds in [first, rounds)."""

    first: Rounds
    rounds: Rounds


class FeedbackRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the training says of a step: one number per component of the plan in each list."""

    step: Whole
    loss_sum: Numbers
    loss_count: Numbers
    samples: Numbers | None = None
    scalars: Annotated[dict[Word, Numbers], Meta(max_length=64)] = {}
    position: Whole | None = None
    size: Count | None = None
    ahead: Whole = 0

    @classmethod
    def of(cls, report: Report) -> FeedbackRequest:
        """A report as a message."""
        return cls(*(getattr(report, name) for name in cls.__struct_fields__))

    def report(self) -> Report:
        """The message as a report."""
        return Report(*(getattr(self, name) for name in self.__struct_fields__))


class JoinRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who reads the job from a position on."""

    world_size: Count
    batch_size: Count
    start: Whole

    def topology(self) -> Topology:
        """The message as the job keeps it."""
        return Topology(self.world_size, self.batch_size, self.start)


class CheckpointRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A checkpoint of the training stands at a position."""

    position: Whole


class ReaderNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a reader has done since it began; see `mixtera.stream.statistics`."""

    batches: Whole
    waited: Seconds
    between: Seconds
    storage: Seconds = 0.0
    decoding: Seconds = 0.0
    promises: Seconds = 0.0
    queue: Whole = 0
    held_bytes: Whole = 0
    read_bytes: Whole = 0
    delivered_bytes: Whole = 0
    cache_hits: Whole = 0
    cache_misses: Whole = 0


class Reader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One reader, and how far it is."""

    rank: Place
    worker: Place
    position: Whole
    numbers: ReaderNumbers | None = None


class AliveRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The readers of a process that lives; said every few seconds."""

    process: Word
    readers: Annotated[tuple[Reader, ...], Meta(max_length=256)]


class ReadRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The batches of one reader, as `mixtera.stream.Stream` has them, from `start` on.

    Where the weights follow the training: up to `stop`, which has to be promised.
    """

    batch_size: Count
    rank: Place = 0
    world_size: Count = 1
    start: Whole = 0
    worker: Place = 0
    workers: Count = 1
    stop: Whole | None = None
    columns: Annotated[tuple[Word, ...], Meta(max_length=1000)] | None = None
    most_skipped: Whole = 0
    """Positions of the run at which another sample may come in place of one that cannot be read."""


class UnreadableSample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See `mixtera.artifact.skips.Skip`."""

    position: Whole
    sample: SampleId
    instead: SampleId
    place: Annotated[str, Meta(max_length=2_000)]
    reason: Annotated[str, Meta(max_length=1_000)]

    @classmethod
    def of(cls, skip: Skip) -> UnreadableSample:
        """A skip as a message."""
        return cls(*(getattr(skip, name) for name in cls.__struct_fields__))

    def skip(self) -> Skip:
        """The message as the job keeps it."""
        return Skip(*(getattr(self, name) for name in self.__struct_fields__))


class SkipRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Samples that a reader cannot read, and what it would deliver in their place."""

    skips: Annotated[tuple[UnreadableSample, ...], Meta(max_length=1 << 14)]
    most: Whole
    """How many the run may have."""


class Skipped(msgspec.Struct, frozen=True):
    """What is delivered at the same positions: what was noted first."""

    skips: tuple[Skip, ...]


class CreateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Make a job of a plan in the server's directory of plans."""

    job: Name
    plan: Name


class Done(msgspec.Struct, frozen=True):
    """It is done, and on the disk where that matters."""

    done: bool = True


class JobEntry(msgspec.Struct, frozen=True):
    """A job of the service."""

    job: str
    plan: str | None
    """The plan's digest; None where the job cannot be opened."""
    name: str | None
    problem: str | None = None


class Jobs(msgspec.Struct, frozen=True):
    """The jobs that a token may see."""

    jobs: tuple[JobEntry, ...]


class Alive(msgspec.Struct, frozen=True):
    """The service answers."""

    service: str
    version: str
    protocol: int


class Status(msgspec.Struct, frozen=True):
    """The status of a job (`mixtera.jobs.status`), and its readers as the service has heard of them."""

    status: dict[str, Any]
    readers: tuple[SeenReader, ...]


class Lately(msgspec.Struct, frozen=True):
    """What a reader did between the last two times that it was heard of."""

    wait_share: float
    """Share of its time in which it waited for data."""
    limit: str
    """What sets its pace; see `mixtera.stream.statistics`."""
    batches_per_second: float
    bytes_per_second: float
    """Bytes that were read of storages that count them."""
    queue: int
    """Fetches that are asked for and not yet taken."""
    held_bytes: int
    """Bytes that are decoded and not yet taken."""
    cache_hits: int = 0
    """Pieces of files that were needed, and decoded already."""
    cache_misses: int = 0
    """Pieces that had to be read and decoded."""


class SeenReader(msgspec.Struct, frozen=True):
    """A reader that has said that it lives."""

    rank: int
    worker: int
    position: int
    """Position in the run."""
    process: str
    seconds: float
    """Since it was heard of last."""
    gone: bool
    """Whether that is longer than a living reader is silent."""
    lately: Lately | None = None


class Problem(msgspec.Struct, frozen=True):
    """Why something was refused."""

    kind: str
    message: str


class Refusal(msgspec.Struct, frozen=True):
    """The body of every answer that is none."""

    error: Problem
