"""What a lock says, as small values. Counts are samples, positions or rows; sizes are bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mixtera.artifact.model import OrderParameters, PlanComponent, Steering

LOCK_VERSION: Final = 1

Scalar = str | int | float | None
"""A value that is shown as one."""


@dataclass(frozen=True, slots=True)
class LockedFile:
    """A file of a source.

    Attributes:
        name: Its path below the fixed part of its pattern: the same wherever the data lies.
        size: Bytes.
        rows: Rows.
        modified: Time of the last change, in UTC; None where the lock does not pin it.
        etag: The storage's mark of the content; None where there is none, or the lock does not pin it.
        beside: The same of the file beside it that says where its samples are; None likewise.
    """

    name: str
    size: int
    rows: int
    modified: str | None
    etag: str | None
    beside: str | None = None

    def is_same(self, other: LockedFile) -> bool:
        """Whether both describe the same content: size, rows, and what both know of what lies beside it,
        and of etag or else of the time.
        """
        if (self.size, self.rows) != (other.size, other.rows):
            return False
        if self.beside is not None and other.beside is not None and self.beside != other.beside:
            return False
        if self.etag is not None and other.etag is not None:
            return self.etag == other.etag
        return self.modified is None or other.modified is None or self.modified == other.modified


@dataclass(frozen=True, slots=True)
class LockedSource:
    """A source: its format, its files sorted by name, and the snapshot of the catalog they were read from."""

    name: str
    format: str
    snapshot: int | None
    files: tuple[LockedFile, ...]


@dataclass(frozen=True, slots=True)
class LockedCount:
    """The documents of a component, and their tokens in one epoch, with what stands around each."""

    name: str
    documents: int
    tokens: int


@dataclass(frozen=True, slots=True)
class LockedTokens:
    """How samples become rows of tokens (`mixtera.artifact.model.TokenParameters`); not where the tokenizer lies.

    Attributes:
        tokenizer: As the spec names it.
        fingerprint: What decides ids: another tokenizer under the same name has another one.
        vocab_size: Ids lie below it.
        sequence_length: Tokens of a row that are predicted.
        packing: How documents come into rows.
        bos: Id before each document; None for none.
        eos: Id after each document; None for none.
        label_shift: Whether a row has one more token than `sequence_length`.
        overlap: Tokens that a row shares with the one before it.
        max_document_tokens: Longer documents are cut there; None: none is.
        template: How content columns become the text; None: the one column is the text.
        counts: By component; empty where a row is a document.
    """

    tokenizer: str
    fingerprint: str
    vocab_size: int
    sequence_length: int
    packing: str
    bos: int | None
    eos: int | None
    label_shift: bool
    overlap: int
    max_document_tokens: int | None
    template: str | None
    counts: tuple[LockedCount, ...]


@dataclass(frozen=True, slots=True)
class LockedColumns:
    """The content columns that a component delivers instead of tokens."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LockedDelivery:
    """What components deliver, where not all deliver tokens.

    Attributes:
        group: Positions in a row that deliver the same.
        columns: Of the components that deliver content columns, in the order of the spec.
    """

    group: int
    columns: tuple[LockedColumns, ...]


@dataclass(frozen=True, slots=True)
class LockBody:
    """Everything that a lock says.

    Attributes:
        made_by: Version of Mixtera that wrote it.
        order_version: Version of the order.
        plan: Digest of the plan.
        name: Name of the spec.
        positions: Length of the stream, None without end.
        samples: Samples in the mixture.
        order: What the order depends on beside the samples.
        components: Leaves of the mixture, in the order of the spec.
        sources: In the order of the spec.
        spec: The normalised lines of the spec.
        tokens: How samples become rows of tokens; None: they are delivered as they are.
        delivery: What components deliver; None: all of them the same.
        dynamic: How the weights follow the training; None: they do not.
    """

    made_by: str
    order_version: int
    plan: str
    name: str
    positions: int | None
    samples: int
    order: OrderParameters
    components: tuple[PlanComponent, ...]
    sources: tuple[LockedSource, ...]
    spec: tuple[str, ...]
    tokens: LockedTokens | None = None
    delivery: LockedDelivery | None = None
    dynamic: Steering | None = None

    @property
    def unit(self) -> str:
        """What a position is, and what components count, in the plural."""
        if self.tokens is None or not self.tokens.counts:
            return "samples"
        return "sequences" if self.delivery is None else "positions"
