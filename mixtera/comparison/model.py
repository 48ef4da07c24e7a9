"""What a comparison says, as small frozen values: text and JSON are two renderings of them.

Counts are samples, positions or files; shares are fractions between 0 and 1. None on one side is: that side has no such
thing, or does not know it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mixtera.lockfile.difference import Change, SourceChange
from mixtera.lockfile.model import Scalar

COMPARISON_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class SideSummary:
    """One side.

    Attributes:
        label: What the user calls it.
        kind: `spec`, `plan` or `lock`.
        name: Name of the spec.
        plan: Digest of the plan.
        positions: Length of the stream, None without end.
        samples: Samples in the mixture.
        unit: What a position is, in the plural: samples, sequences (of tokens), or positions, where there are both.
    """

    label: str
    kind: str
    name: str
    plan: str
    positions: int | None
    samples: int
    unit: str = "samples"


@dataclass(frozen=True, slots=True)
class Part:
    """A component, or a group of them, on one side.

    Attributes:
        weight: Weight as written; None where that is not known.
        share: Share of the positions at the start, over the whole mixture.
        samples: Samples that belong to it.
        delivered: Positions that it holds until the end; None without an end, or where that is not known.
        places: Places of it that may be given out over all epochs; None for no limit, and for groups.
        on_exhaust: What happens after the last of them; None for groups.
    """

    weight: float | None
    share: float
    samples: int
    delivered: int | None
    places: int | None
    on_exhaust: str | None


@dataclass(frozen=True, slots=True)
class Flow:
    """What became of the samples of a component.

    Attributes:
        name: Its full name; that of the new side, where it was renamed.
        kept: Samples that it had and has.
        gained: Samples that no component had before.
        lost: Samples that no component has now.
        moved_in: Samples that another component had.
        moved_out: Samples that another component has now.
    """

    name: str
    kept: int
    gained: int
    lost: int
    moved_in: int
    moved_out: int


@dataclass(frozen=True, slots=True)
class Samples:
    """What became of all samples. Exact: by source, file and row.

    Attributes:
        flows: By component.
        renamed: Old and new names of components that have the very same samples.
        kept: Samples that stay in their component.
        moved: Samples that are in another one.
        gained: Samples that are new in the mixture.
        lost: Samples that are no longer in it.
        in_changed_files: Of those kept or moved, how many lie in files whose content is another.
    """

    flows: tuple[Flow, ...]
    renamed: tuple[tuple[str, str], ...]
    kept: int
    moved: int
    gained: int
    lost: int
    in_changed_files: int


@dataclass(frozen=True, slots=True)
class Stage:
    """The shares from a position on, on both sides; None behind the end of one.

    Attributes:
        first: The position.
        before: Component → share.
        after: Likewise.
    """

    first: int
    before: Mapping[str, float] | None
    after: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class End:
    """How a stream ends.

    Attributes:
        positions: Where; None without end.
        kind: As `mixtera.explanation.model.End`; None where that is not known.
        components: The components that end it, or keep it from ending.
        unseen: Samples that are never delivered; None where that is not known.
        first_exhausted: The component that has nothing left first, None where none or not known.
        exhausted_at: The position from which on it has nothing left.
    """

    positions: int | None
    kind: str | None
    components: tuple[str, ...]
    unseen: int | None
    first_exhausted: str | None
    exhausted_at: int | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a side delivers at a position.

    Attributes:
        sample: `source/file#row`; where positions are sequences of tokens, of the first document.
        component: The component it comes from.
        first_token: The first of that document's tokens in the sequence; None where positions are samples.
        last_token: That after the last of them; None likewise.
        documents: Documents that the sequence has a part of; None likewise.
    """

    sample: str
    component: str
    first_token: int | None = None
    last_token: int | None = None
    documents: int | None = None


@dataclass(frozen=True, slots=True)
class Divergence:
    """How far both sides deliver the same samples.

    Attributes:
        first: First position that was compared.
        stop: Position after the last that was compared.
        complete: Whether nothing is left to compare: one side, or both, end there.
        position: The first position with different samples, or which only one side has; None where there is none.
        step: The step that it lies in, where a batch was given.
        before: What is delivered there; None where that side has ended.
        after: Likewise.
        changed_file: The first position, if there is one before `position`, whose sample is of a file whose content is
            another.
    """

    first: int
    stop: int
    complete: bool
    position: int | None
    step: int | None
    before: Delivery | None
    after: Delivery | None
    changed_file: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a comparison says.

    Attributes:
        mixtera_comparison: Version of this form.
        same: Whether a run would see the same samples of the same files in the same order.
        before: The first side.
        after: The second.
        settings: Changed values: order, length, budget.
        parts: The tree of both mixtures, outer before inner; the unchanged too.
        samples: What became of the samples; None where a side is a lock.
        sources: Sources whose files changed.
        stages: Shares over time, where a weight of either side ever changes; None where a side is a lock.
        end: How each side ends.
        divergence: How far they deliver the same; None where a side is a lock.
        spec: Unified difference of the normalised specs.
    """

    mixtera_comparison: int
    same: bool
    before: SideSummary
    after: SideSummary
    settings: tuple[Change[Scalar], ...]
    parts: tuple[Change[Part], ...]
    samples: Samples | None
    sources: tuple[SourceChange, ...]
    stages: tuple[Stage, ...] | None
    end: Change[End]
    divergence: Divergence | None
    spec: tuple[str, ...]

    @property
    def unit(self) -> str:
        """What a position is on both sides, in the plural."""
        return self.after.unit if self.after.unit == self.before.unit else "positions"
