"""The part of a report that tells of the run: its course at positions, exhaustion, limits, losses and cost.

Counts are samples, positions or rows; sizes are bytes; shares are fractions between 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Track:
    """One component along the positions of a `Progress`.

    Attributes:
        full_name: The component.
        held: Seats that it has before each position, one per position; they ascend.
        epochs: Places that it has had, those of plans before this one too, per sample; one per position.
        shares: What it holds of the positions from each position to the next; one less than positions.
    """

    full_name: str
    held: tuple[int, ...]
    epochs: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """The run at some positions: its first and last, those where something changes, and evenly spread ones between.

    Attributes:
        positions: Ascending, about 200 at most. Without an end the last is beyond everything that changes.
        tracks: Every component, in the order of the plan.
    """

    positions: tuple[int, ...]
    tracks: tuple[Track, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """A place where components have given everything.

    Attributes:
        position: The first position after it.
        step: The training step that holds this position, from 0; None where the batch is not known.
        kind: `repeats`: all samples were delivered once, and come again; `leaves`: nothing is left, the others take
            the share; `ends`: nothing is left, and the stream ends.
        components: Which, in the order of the plan.
    """

    position: int
    step: int | None
    kind: Literal["repeats", "leaves", "ends"]
    components: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Funnel:
    """What becomes of the samples of a source, or of all.

    Attributes:
        source: Its name; None for all sources together.
        rows: Samples in the catalog.
        kept: Samples that the filter kept.
        chosen: Samples in a component.
        seen: Samples that are delivered at least once.
        unseen: Samples in a component that are never delivered.
        about: Whether `seen` is what the shuffle gives on average: a component of several sources is not finished.
    """

    source: str | None
    rows: int
    kept: int
    chosen: int
    seen: int
    unseen: int
    about: bool


@dataclass(frozen=True, slots=True)
class Change:
    """Something that would move the end of the stream.

    Attributes:
        kind: What to write: `max_epochs`, a smaller `weight` (with which it lasts as long as the others), or
            `on_exhaust: redistribute`.
        component: Full name of the component to write it at.
        value: Epochs for `max_epochs`, a share of the mixture for `weight`; None for `redistribute`.
        positions: Length that the stream would have; None where it is not worked out.
        unseen: Samples that would never be delivered; None likewise.
    """

    kind: Literal["max_epochs", "weight", "redistribute"]
    component: str
    value: float | None
    positions: int | None
    unseen: int | None


@dataclass(frozen=True, slots=True)
class Limit:
    """What limits the run.

    Attributes:
        kind: `component`: one has nothing left while others have; `supply`: everything is delivered; `budget`: it is
            reached; `none`: the stream has no end.
        components: The limiting components; empty unless `component`.
        changes: What would move the end, each alone.
    """

    kind: Literal["component", "supply", "budget", "none"]
    components: tuple[str, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What the run asks of a storage, if all files lie on it. Bytes are those stored; simulated, then extended.

    Attributes:
        storage: Name of the storage.
        files: Files to read that do lie on it.
        readers: Readers (ranks × workers) that read.
        request_bytes: Size of a good request, by the storage's profile.
        gap_bytes: Ranges closer than this are fetched as one, by the storage's profile.
        requests: Requests of the whole run, about; of one epoch when there is no end.
        read_bytes: Bytes that they fetch.
        delivered_bytes: Bytes of the records delivered.
        amplification: `read_bytes / delivered_bytes`.
        shared_requests: Requests if the readers are on one machine and share what they fetch; None where the storage
            has nothing to share, or they do so already.
        shared_read_bytes: Bytes likewise.
    """

    storage: str
    files: int
    readers: int
    request_bytes: int
    gap_bytes: int
    requests: int
    read_bytes: int
    delivered_bytes: int
    amplification: float
    shared_requests: int | None = None
    shared_read_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class TokenPart:
    """The tokens of a component.

    Attributes:
        name: Its full name.
        documents: Its samples.
        tokens: Their tokens, with what stands around a document.
        sequences: Whole sequences that an epoch of them fills.
        padding: Part of these sequences that is padding; None where they are never padded.
    """

    name: str
    documents: int
    tokens: int
    sequences: int
    padding: float | None = None


@dataclass(frozen=True, slots=True)
class SamplePart:
    """A component whose samples are delivered as they are, where others are delivered as tokens.

    Attributes:
        name: Its full name.
        columns: The content columns that it delivers.
        samples: Its samples.
    """

    name: str
    columns: tuple[str, ...]
    samples: int


@dataclass(frozen=True, slots=True)
class TokensSummary:
    """How samples become rows of tokens.

    Attributes:
        tokenizer: As the spec names it.
        fingerprint: What decides ids.
        vocab_size: Ids lie below it.
        sequence_length: Tokens of a row that are predicted.
        row_tokens: Tokens of a row.
        packing: How documents come into rows.
        overlap: Tokens that a row shares with the one before it.
        around: What stands around a document of text, with its id; empty for nothing.
        max_document_tokens: Longer documents are cut there; None: none is.
        parts: The components; empty where a row is a document, whose tokens nobody has counted. Without those whose
            samples are delivered as they are.
        as_samples: Components whose samples are delivered as they are.
        group: Positions in a row that deliver the same; None where all of them do.
    """

    tokenizer: str
    fingerprint: str
    vocab_size: int
    sequence_length: int
    row_tokens: int
    packing: str
    overlap: int
    around: str
    max_document_tokens: int | None
    parts: tuple[TokenPart, ...]
    as_samples: tuple[SamplePart, ...] = ()
    group: int | None = None
