"""What a plan holds: a few small tables and two long arrays, all of them flat, so that they open by memory map.

The files of a plan directory::

    plan.json       everything small: order, components, timeline, sources, facts, digest
    files.arrow     one row per file            (FILES)
    segments.arrow  one row per segment         (SEGMENTS); a segment is about 1,000 consecutive rows of one file
    entries.arrow   one row per (component, segment) with samples in it, by component, then segment (ENTRIES)
    rows.u16        per selected sample its row inside its segment, by component, then segment, then row
    frames.arrow    where compressed files can be entered, one row per place (FRAMES); only where some can
    excluded.bits   per selected sample, in the order of `rows`, whether an exclusion leaves it out; with excluded.i32,
                    how many of each entry; only where something is excluded
    delivered.*     likewise, what a component's first epoch leaves out; only in a plan that continues another
    sequences.u32   orders of components that are sorted by a property, one after the other
    remembered.i64  what the plans before it have delivered that no component of this one has
    head.i64        see `mixtera.order.places.Start`
    segment_keys.i64, group_keys.i64    see `mixtera.order.permute.Variation`
    tokens.u32      per selected sample its tokens, in the order of `rows`, 0 for what an exclusion leaves out; with
    entry_tokens.i64, their sums over entries; only where samples are packed into sequences
    window_documents.u32, window_rows.u32    see `mixtera.order.fitting.Windows`; only with `packing: best_fit`
    starts.u32      per row of every segment of a format with offsets: the record's first byte, from the segment's
                    `offset`; one more per segment for its end (starts.u64 where a segment spans 4 GiB or more)
    pages.u32       checksums of the pages of the long arrays (`mixtera.artifact.pages`); only where one has several

Nothing in it grows with the number of epochs or the position.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.artifact.skips import Skip
from mixtera.mapped import Column
from mixtera.order.blocks import Blocks
from mixtera.order.fitting import Windows
from mixtera.order.permute import PLAIN, Variation
from mixtera.order.timeline import Timeline

FORMAT_VERSION: Final = 4
"""What this release reads. Plans whose weights follow the training, and plans of components that deliver different
things, are written as version 4, other plans of sequences as 3, those without a variation as 1.
"""
SEGMENT_ROWS: Final = 1024
"""Rows of a segment (the last of a file or of a group is shorter)."""
WINDOW_SEGMENTS: Final = 4
"""Segments of a component whose rows are permuted together."""

FILES: Final = pa.schema(
    [
        ("source", pa.int32()),  # index into PlanData.sources
        ("name", pa.string()),  # the file's identity inside its source
        ("url", pa.string()),  # where it lies
        ("file_id", pa.int64()),  # 32 bits; sample id = file_id << 31 | row
        ("rows", pa.int64()),
        ("size", pa.int64()),  # bytes; with modified_ns and etag the fingerprint
        ("modified_ns", pa.int64()),
        ("etag", pa.string()),
        ("content_bytes", pa.int64()),  # bytes of records after decompression, 0 where unknown
    ]
)
SEGMENTS: Final = pa.schema(
    [
        ("file", pa.int32()),  # index into FILES
        ("row", pa.int64()),  # first row in the file
        ("rows", pa.int32()),  # 1 … 65,536
        ("group", pa.int32()),  # segments of one group are read together: see FileFacts.group_rows
        ("offset", pa.int64()),  # first byte of the first record; −1 for formats without offsets
        ("start", pa.int64()),  # index of the segment's first value in `starts`; −1 likewise
    ]
)
FRAMES: Final = pa.schema(
    [
        ("file", pa.int32()),  # index into FILES
        ("packed", pa.int64()),  # byte in the file, and
        ("plain", pa.int64()),  # byte in its content: frames begin there; the last row of a file is both ends
    ]
)
NO_FRAMES: Final = pa.Table.from_batches([], FRAMES)  # `empty_table` would import pandas
ENTRIES: Final = pa.schema([("segment", pa.int32()), ("count", pa.int32())])

ROW_BITS: Final = 31


@dataclass(frozen=True, slots=True)
class PlanSource:
    """A source as a plan needs it: content is (delivered name, dotted path), in order."""

    name: str
    format: str
    content: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PlanComponent:
    """A leaf of the mixture.

    Attributes:
        name: Full name, the path joined by `/`.
        weight: Its weight in the global order: the product of the normalised weights down the tree, or any scale of it.
        samples: Samples that belong to it.
        places: How many places of it may be given out over all epochs; None when there is no end.
        on_exhaust: What happens after the last place.
        consumed: Places that earlier plans have given out, where this one continues another.
    """

    name: str
    weight: float
    samples: int
    places: int | None
    on_exhaust: Literal["stop", "redistribute", "repeat", "error"]
    consumed: int = 0


@dataclass(frozen=True, slots=True)
class OrderParameters:
    """What the order depends on beside the samples; all in samples but the seed."""

    seed: int
    shuffle: Literal["global", "none"]
    chunk_size: int
    lanes: int
    granule: int
    window_segments: int = WINDOW_SEGMENTS


@dataclass(frozen=True, slots=True)
class Delivery:
    """What components deliver, where some deliver samples as they are and others tokens.

    Attributes:
        columns: [K] content columns of each component; empty where it delivers tokens.
        group: Positions in a row that deliver the same.
    """

    columns: tuple[tuple[str, ...], ...]
    group: int

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The different things that components deliver, by the first that does."""
        return tuple(dict.fromkeys(self.columns))

    @property
    def kinds(self) -> tuple[int, ...]:
        """[K] which of the groups each component is of."""
        return tuple(self.groups.index(columns) for columns in self.columns)

    @property
    def blocks(self) -> Blocks | None:
        """How positions lie in blocks of one group; None where all components deliver the same."""
        return Blocks(self.group, self.kinds) if len(self.groups) > 1 else None


@dataclass(frozen=True, slots=True)
class TokenParameters:
    """How samples become rows of tokens (`mixtera.spec.model.Tokens`, with what was found of the tokenizer).

    Attributes:
        tokenizer: As the spec names it.
        base: The file that names it: a relative path is meant from there.
        fingerprint: What decides ids; another tokenizer under the same name is refused.
        vocab_size: Ids lie below it.
        sequence_length: Tokens of a row that are predicted.
        packing: How documents come into rows.
        bos: Id that stands before each document; None for none.
        eos: Id that stands after each document; None for none.
        pad: Id that fills rows up, where documents are not cut.
        label_shift: Whether a row has one more token than `sequence_length`.
        overlap: Tokens that a row shares with the one before it.
        max_document_tokens: Longer documents are cut there, the ids around them included; None: none is.
        template: How content columns become the text; None: the one column is the text.
        encoder: Package that encodes, and gives the same ids; None: the tokenizer's own. No part of the digest.
    """

    tokenizer: str
    base: str
    fingerprint: str
    vocab_size: int
    sequence_length: int
    packing: Literal["concat", "best_fit", "none"]
    bos: int | None
    eos: int | None
    pad: int
    label_shift: bool
    overlap: int
    max_document_tokens: int | None
    template: str | None
    encoder: str | None = None

    @property
    def row_tokens(self) -> int:
        """Tokens of a row."""
        return self.sequence_length + self.label_shift

    @property
    def rows(self) -> tuple[str | int | None, ...]:
        """What decides the rows that documents become; not what the tokenizer is called, nor where it lies."""
        around = self.bos, self.eos, self.max_document_tokens, self.template
        return self.fingerprint, self.packing, self.row_tokens, self.overlap, *around

    @property
    def stride(self) -> int:
        """Tokens from one row to the next, where documents are concatenated."""
        return self.row_tokens - self.overlap

    @property
    def fits(self) -> bool:
        """Whether whole documents are fitted into rows."""
        return self.packing == "best_fit"


@dataclass(frozen=True, slots=True, eq=False)
class TokenLayout:
    """How a plan's samples become sequences.

    Attributes:
        parameters: How.
        counts: [selected samples] uint32, tokens of each, with what stands around it; 0 for what an exclusion leaves
            out. Empty where a row is a document.
        entry_counts: [E] int64, their sums over entries; empty likewise.
        windows: The windows in which whole documents are fitted into rows; None where they are not.
    """

    parameters: TokenParameters
    counts: Column
    entry_counts: npt.NDArray[np.int64]
    windows: Windows | None = None

    @property
    def packs(self) -> bool:
        """Whether a position is a sequence of several documents."""
        return self.parameters.packing != "none"


@dataclass(frozen=True, slots=True)
class Steering:
    """How the weights follow the training; see `mixtera.algorithms.steering.Settings`.

    Attributes:
        algorithm: Name of the algorithm.
        options: Those that are given, by name: JSON values.
        floor: The least share of every component; None for none.
        ceiling: The largest.
        every: Weights change at multiples of this many steps.
        lag: Steps between the one that asks for a fit and the one at which it counts.
        limit: Position, counted from the plan's first, of the end at the latest, whatever the weights; None for none.
    """

    algorithm: str
    options: dict[str, Any]
    floor: float | None
    ceiling: float | None
    every: int
    lag: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a plan takes over from another: the position, and the other plan's digest and name."""

    position: int
    plan: str
    name: str


@dataclass(frozen=True)
class PlanData:
    """The content of a plan.

    Attributes:
        name: Name of the spec.
        sources: Sources, in the order of the spec.
        components: Leaves, in the order of the spec.
        order: Parameters of the order.
        timeline: Phases and end, counted from the plan's first position.
        files: Table of FILES, by source, then name.
        segments: Table of SEGMENTS, by file, then row.
        entries: Table of ENTRIES, by component, then segment.
        component_entries: [K + 1] int64; entries of component c are [component_entries[c], component_entries[c + 1]).
        rows: [selected samples] uint16.
        starts: [rows of segments with offsets + one per segment] uint32 or uint64; empty where no format has offsets.
        frames: Table of FRAMES, by file, then byte; not part of the digest.
        variation: What makes the order differ from the plain one.
        begins: Where it takes over from another plan; None: it begins at position 0.
        remembered: Ids of samples that the plans before it have delivered in the current epoch, and that no component
            of it has, ascending: what a plan after it leaves out, should it take them in again.
        tokens: How samples become sequences of tokens; None: they are delivered as they are.
        steering: How the weights follow the training; then the timeline is what holds as long as no feedback
            comes. None: they do not.
        delivery: What each component delivers, where some deliver samples as they are beside tokens; None: all of
            them deliver the same.
        facts: What the compiler found, for `explain`; JSON values; not part of the digest.
        skips: What a job has delivered in place of samples that could not be read; not part of a plan on disk.
    """

    name: str
    sources: tuple[PlanSource, ...]
    components: tuple[PlanComponent, ...]
    order: OrderParameters
    timeline: Timeline
    files: pa.Table
    segments: pa.Table
    entries: pa.Table
    component_entries: npt.NDArray[np.int64]
    rows: Column
    starts: Column
    frames: pa.Table = field(default_factory=lambda: NO_FRAMES)
    variation: Variation = PLAIN
    begins: Beginning | None = None
    remembered: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    tokens: TokenLayout | None = None
    steering: Steering | None = None
    delivery: Delivery | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    skips: tuple[Skip, ...] = ()

    @property
    def packs(self) -> bool:
        """Whether positions are sequences of several documents, and not samples."""
        return self.tokens is not None and self.tokens.packs

    @property
    def columns(self) -> tuple[tuple[str, ...], ...]:
        """[K] content columns that each component delivers instead of tokens; empty where it does not."""
        return ((),) * len(self.components) if self.delivery is None else self.delivery.columns

    @property
    def blocks(self) -> Blocks | None:
        """How positions lie in blocks that deliver the same; None where all components do."""
        return None if self.delivery is None else self.delivery.blocks

    @property
    def unit(self) -> str:
        """What a position is, in the plural."""
        if self.packs and self.delivery is not None:
            return "positions"
        return "sequences" if self.packs else "samples"

    @property
    def order_version(self) -> int:
        """Version of the order that the plan was made with; it keeps it."""
        return self.timeline.order_version

    @property
    def first(self) -> int:
        """The plan's first position in the run: everything else counts from there."""
        return 0 if self.begins is None else self.begins.position

    @property
    def end(self) -> int | None:
        """The position in the run that ends the plan; None when it has no end."""
        return None if self.timeline.total is None else self.first + self.timeline.total
