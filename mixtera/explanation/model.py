"""What an explanation says, as small frozen values: text, JSON, HTML and Mermaid are views of the same report.

Counts are samples, positions or rows; sizes are bytes; shares are fractions between 0 and 1. None is: not known, or
not applicable, as the attribute says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from mixtera.explanation.forecast import Cost, Event, Funnel, Limit, Progress, TokensSummary
from mixtera.explanation.ordering import OrderSummary
from mixtera.explanation.steered import Steered

EXPLANATION_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Continued:
    """What becomes of a component in a plan that takes over from another.

    Attributes:
        name: Its full name.
        fate: `goes on` where it stood; `changed` or `new`: without what was delivered.
        delivered: Samples of it that were delivered in the epoch that it was in.
    """

    name: str
    fate: str
    delivered: int


@dataclass(frozen=True, slots=True)
class Continues:
    """The plan that another takes over from.

    Attributes:
        plan: Its digest.
        name: Name of its spec.
        components: What becomes of the components.
        gone: Its components that are no more.
    """

    plan: str
    name: str
    components: tuple[Continued, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """The plan itself.

    Attributes:
        name: Name of the spec.
        digest: The plan's digest.
        positions: Length of the stream, None when it has no end.
        samples: Samples that belong to a component, each counted once.
        lock: Digest of the lock that it was compiled under; None where there was none.
        first: Its first position in the run.
        continues: The plan that it takes over from; None where it begins a run.
    """

    name: str
    digest: str
    positions: int | None
    samples: int
    lock: str | None = None
    first: int = 0
    continues: Continues | None = None

    @property
    def end(self) -> int | None:
        """The position after the last."""
        return None if self.positions is None else self.first + self.positions


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """A source: how much of it there is, and how much the plan chose.

    Attributes:
        name: Its name.
        format: Its format.
        files: Files in the catalog.
        files_read: Files with at least one chosen sample.
        rows: Samples in the catalog; rows of all files where the plan does not say.
        bytes: Size of all files as stored.
        samples: Chosen samples.
    """

    name: str
    format: str
    files: int
    files_read: int
    rows: int
    bytes: int
    samples: int


@dataclass(frozen=True, slots=True)
class Selection:
    """From all rows to the samples of the mixture.

    Attributes:
        filter: The filter as written, None when there is none or the plan does not say.
        rows: Samples in the catalog.
        kept: Samples that the filter kept.
        chosen: Samples in a component.
        weightless: Samples of components whose weight is 0.
        left_over: Samples that the filter kept and no component took.
        held_out: Samples that the filter kept on the other side of the split.
        excluded: Samples of a component that an exclusion leaves out.
    """

    filter: str | None
    rows: int
    kept: int
    chosen: int
    weightless: int
    left_over: int
    held_out: int = 0
    excluded: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """A component of the mixture, or a group of them.

    Attributes:
        name: Name among its siblings.
        full_name: The path, joined by `/`.
        weight: Weight as written; None when the plan does not say.
        share: Share of the positions at the start, over the whole mixture.
        samples: Samples that belong to it.
        delivered: Positions that it holds until the end; None without an end.
        epochs: Places it has had at the end, those of plans before this one too, per sample; None without an end.
        max_epochs: Epochs that it may have; None for no limit, and for groups.
        first_epoch_ends: Position at which each of its samples has been delivered once; None when that never comes,
            and for groups.
        unseen: Samples that are never delivered; None without an end.
        on_exhaust: What happens when it runs out; None for groups.
        ends_plan: Whether the stream ends because it has nothing left.
        parts: What is inside; empty for a component.
    """

    name: str
    full_name: str
    weight: float | None
    share: float
    samples: int
    delivered: int | None
    epochs: float | None
    max_epochs: float | None
    first_epoch_ends: int | None
    unseen: int | None
    on_exhaust: str | None
    ends_plan: bool
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class End:
    """How the stream ends.

    Attributes:
        kind: `complete`: every component gave all it may; `exhausted`: `components` have nothing left, others do;
            `budget`: the budget is reached; `endless`: a component repeats for ever.
        components: The components that end it, or that keep it from ending.
        unseen: Samples that are never delivered; 0 without an end.
        changes: Positions at which a component leaves and the others take its share.
    """

    kind: Literal["complete", "exhausted", "budget", "endless"]
    components: tuple[str, ...]
    unseen: int
    changes: tuple[int, ...]


Begins: TypeAlias = Literal["start", "weights", "ramp", "leaves"]


@dataclass(frozen=True, slots=True)
class Span:
    """Positions [first, last) over which no weight changes but along a ramp, and no component leaves.

    Attributes:
        first: First position.
        last: Position after the last; None without an end.
        begins: What begins there: `start`, `weights` (those of a schedule), `ramp` (a part of one), or `leaves`.
        leaving: Components that have nothing left from there on.
        shares: What each component holds of it; without an end, what it is asked to hold.
        phases: Phases of the plan's timeline that begin in it or reach into it; a ramp has many.
    """

    first: int
    last: int | None
    begins: Begins
    leaving: tuple[str, ...]
    shares: Mapping[str, float]
    phases: int


@dataclass(frozen=True, slots=True)
class BoundedShare:
    """A share that floors and ceilings changed.

    Attributes:
        name: Full name of the component, or of a group of them.
        first: Position from which it holds.
        asked: Its share among its siblings by the weights alone.
        share: Its share among its siblings.
    """

    name: str
    first: int
    asked: float
    share: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """Samples that two components both match; the first of them takes those that none before took.

    Attributes:
        first: Full name of the component that is tested first.
        second: Full name of the other.
        samples: Samples that match both.
    """

    first: str
    second: str
    samples: int


@dataclass(frozen=True, slots=True)
class Reads:
    """What some readers together read, simulated over the beginning of the plan.

    Attributes:
        readers: Readers (ranks × workers).
        lanes: Lanes of the order that was simulated.
        positions: Positions simulated, over all simulated readers.
        amplification: Bytes read per byte delivered: 1 where records are read alone, more where row groups or
            compressed files can only be read whole.
        visits: Segments opened per segment that one reader with all lanes would open.
    """

    readers: int
    lanes: int
    positions: int
    amplification: float
    visits: float


@dataclass(frozen=True, slots=True)
class Reading:
    """Files, bytes and how they are read.

    Attributes:
        files: Files with at least one chosen sample.
        bytes: Their size as stored.
        delivered_bytes: Bytes of the records delivered, about; per sample of one epoch when there is no end.
        groups: Row groups and compressed files that can only be read whole, among the files read.
        largest_group_bytes: The largest of them, decoded, about.
        one: One reader.
        many: The readers asked for; None when not asked.
        suggested: The same readers with the number of lanes that suits them; None when the plan has it already.
    """

    files: int
    bytes: int
    delivered_bytes: int
    groups: int
    largest_group_bytes: int
    one: Reads
    many: Reads | None
    suggested: Reads | None


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process needs.

    Attributes:
        plan_bytes: Tables and arrays of the plan: mapped, shared by all processes of a machine.
        order_bytes: Tables that each reader makes of them.
        flight_bytes: Samples that a reader has fetched and not delivered, and what its files keep.
    """

    plan_bytes: int
    order_bytes: int
    flight_bytes: int


@dataclass(frozen=True, slots=True)
class Advice:
    """A warning: something that is allowed and probably not wanted.

    Attributes:
        code: A stable short name.
        message: What will happen.
        fix: What to write instead.
    """

    code: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that an explanation says.

    Attributes:
        mixtera_explanation: Version of this form.
        plan: The plan itself.
        sources: In the order of the spec.
        selection: From all samples to those of the mixture; None when the plan does not say.
        by: Properties that the whole mixture is grouped by; empty where its components are written out.
        mixture: The tree of components.
        budget: Samples that the training will see at most; None where the spec does not say.
        batch: Samples of a training step over all ranks; None where neither the caller nor the spec says.
        course: Where weights change or components leave, and the shares between.
        progress: Shares and epochs at positions of the run.
        events: Where components have given everything, ascending.
        end: How the stream ends.
        limit: What limits the run, and what would change it.
        waterfall: From the catalog to what is delivered, by source and then in total; empty when the plan does not say.
        overlap: Components whose predicates overlap; None when it was not looked for.
        reading: Files, bytes, and what is read for them.
        cost: What the run asks of each installed storage.
        memory: What a process needs.
        order: How samples are ordered.
        warnings: What is probably not wanted, each with what to write instead.
        bounded: Shares that floors and ceilings changed; empty where they changed none.
        tokens: How samples become rows of tokens; None where they are delivered as they are.
        steered: How the weights follow the training; None where they do not.
    """

    mixtera_explanation: int
    plan: PlanSummary
    sources: tuple[SourceSummary, ...]
    selection: Selection | None
    by: tuple[str, ...]
    mixture: tuple[Part, ...]
    budget: int | None
    batch: int | None
    course: tuple[Span, ...]
    progress: Progress
    events: tuple[Event, ...]
    end: End
    limit: Limit
    waterfall: tuple[Funnel, ...]
    overlap: tuple[Overlap, ...] | None
    reading: Reading
    cost: tuple[Cost, ...]
    memory: Memory
    order: OrderSummary
    warnings: tuple[Advice, ...] = ()
    bounded: tuple[BoundedShare, ...] = ()
    tokens: TokensSummary | None = None
    steered: Steered | None = None

    @property
    def unit(self) -> str:
        """What a position is, in the plural."""
        if self.tokens is None or not self.tokens.parts:
            return "samples"
        return "positions" if self.tokens.as_samples else "sequences"

    @property
    def every(self) -> int:
        """What an epoch of all components is, in that unit."""
        return self.plan.samples if self.unit == "samples" else sum(part.samples for part in self.mixture)
