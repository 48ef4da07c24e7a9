"""Warnings: what is allowed and probably not wanted, each with what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from mixtera.explanation.mixture import components
from mixtera.explanation.model import Advice, Report
from mixtera.explanation.numbers import bytes_text, count, listed, multiple, percent, samples
from mixtera.formats.temporary import SPOOL_VARIABLE

UNSEEN_SHARE: Final = 0.1
"""Share of the samples that may stay unseen without a word."""
MANY_EPOCHS: Final = 4.0
"""More epochs gain little (Muennighoff et al., "Scaling Data-Constrained Language Models", NeurIPS 2023)."""
LARGE_GROUP_BYTES: Final = 256_000_000
SMALL_FILE_BYTES: Final = 1_000_000
MANY_FILES: Final = 1_000
AMPLIFICATION: Final = 2.0
SMALL_BYTES: Final = 100_000_000
"""What is smaller may be read as often as it likes."""
MANY_REQUESTS: Final = 4
"""So many times the requests are worth a word."""
BETTER: Final = 1.05
"""Other lanes are worth a word when they read so many times less."""


def lock_moved(reason: str) -> Advice:
    """The lock of the spec does not hold, so that compiling it for a run is refused."""
    return Advice(
        "lock-moved",
        reason,
        "`mixtera lock --check SPEC` shows the difference, `mixtera lock SPEC` writes a new lock",
    )


def ends_early(report: Report) -> Iterator[Advice]:
    """A component that ran out ends the stream while much is left."""
    unseen, every = report.end.unseen, report.every
    if report.end.kind != "exhausted" or unseen <= UNSEEN_SHARE * every or not report.plan.positions:
        return
    ending = [part for part in components(report.mixture) if part.ends_plan]
    names = listed(f"{part.full_name} ({percent(part.share)} of the mixture)" for part in ending)
    verb = "has" if len(ending) == 1 else "have"
    yield Advice(
        "ends-early",
        f"{names} {verb} nothing left after {count(report.plan.positions)} positions; "
        f"{count(unseen)} of {samples(every, report.unit)} ({percent(unseen / every)}) are never seen",
        f"give {ending[0].full_name} `on_exhaust: repeat` with `max_epochs`, or `on_exhaust: redistribute`, "
        f"or a smaller weight{_fitting_share(report)}",
    )


def _fitting_share(report: Report) -> str:
    share = next((change.value for change in report.limit.changes if change.kind == "weight"), None)
    return "" if share is None else f" (with a share of {percent(share)} it lasts as long as the others)"


def repeated(report: Report) -> Iterator[Advice]:
    """A component comes more often than is of use."""
    often = [part for part in components(report.mixture) if (part.epochs or 0) > MANY_EPOCHS]
    for part in sorted(often, key=lambda part: -(part.epochs or 0))[:3]:
        yield Advice(
            "repeated",
            f"every sample of {part.full_name} is delivered {part.epochs:.1f} times",
            f"lower its weight, or cap it with `max_epochs: {MANY_EPOCHS:g}`",
        )


def endless(report: Report) -> Iterator[Advice]:
    """The stream has no end."""
    if report.end.kind == "endless":
        yield Advice(
            "endless",
            f"the stream has no end: {listed(report.end.components)} "
            f"{'repeats' if len(report.end.components) == 1 else 'repeat'} for ever, so len(plan) is a TypeError",
            "give `max_epochs` to what repeats, or stop the training by its number of steps",
        )


def budget_not_reached(report: Report) -> Iterator[Advice]:
    """Everything is delivered before the budget ends."""
    budget, positions = report.budget, report.plan.positions
    if budget is not None and positions is not None and positions < budget:
        yield Advice(
            "budget-not-reached",
            f"the budget is {samples(budget, report.unit)}, and nothing is left after {count(positions)}",
            f"lower the budget to that, or let what is good repeat: `max_epochs: {MANY_EPOCHS:g}`",
        )


def left_over(report: Report) -> Iterator[Advice]:
    """Samples pass the filter and belong to no component."""
    selection = report.selection
    if selection is not None and selection.left_over > 0:
        yield Advice(
            "left-over",
            f"no component takes {samples(selection.left_over)} that the filter keeps"
            if selection.filter
            else f"no component takes {samples(selection.left_over)} of the catalog",
            "add a last component without `where`, which takes what is left, or drop them in `filter`",
        )


def overlapping(report: Report) -> Iterator[Advice]:
    """Predicates overlap: the order of the list decides."""
    pairs = sorted(report.overlap or (), key=lambda pair: -pair.samples)
    if pairs:
        most = pairs[0]
        others = f", and {count(len(pairs) - 1)} more pairs overlap" if len(pairs) > 1 else ""
        yield Advice(
            "overlap",
            f"{most.first} and {most.second} both match {samples(most.samples)}, which {most.first} gets{others}",
            "where the second of two should get them, put it first; to say it openly, exclude in its `where` what the "
            "first takes",
        )


def large_groups(report: Report) -> Iterator[Advice]:
    """Row groups or compressed files are too large to be read for a few samples."""
    largest = report.reading.largest_group_bytes
    if largest > LARGE_GROUP_BYTES:
        yield Advice(
            "large-groups",
            f"the largest row group or compressed file holds {bytes_text(largest)} and is read whole",
            "write Parquet with row groups of 10 to 100 MB (`row_group_size`), or split or unpack compressed files",
        )


def read_often(report: Report) -> Iterator[Advice]:
    """Much more is read than delivered."""
    factor = report.reading.one.amplification
    if factor > AMPLIFICATION and report.reading.bytes > SMALL_BYTES:
        yield Advice(
            "read-often",
            f"{multiple(factor)} as many bytes are read as delivered: what is read whole serves few samples",
            "use smaller row groups, larger chunks (`chunk_size`) or fewer `lanes`, or sort the files by what the "
            "components ask for",
        )


def lanes(report: Report) -> Iterator[Advice]:
    """Readers share lanes, and it costs."""
    many, other = report.reading.many, report.reading.suggested
    if many is None or other is None:
        return
    bytes_, segments = many.amplification / other.amplification, many.visits / other.visits
    if max(bytes_, segments) > BETTER:
        yield Advice(
            "lanes",
            f"{many.readers} readers share {many.lanes} lanes: they read {multiple(bytes_)} as many bytes and open "
            f"{multiple(segments)} as many segments as they would with {other.lanes}",
            f"write `order: {{lanes: {other.lanes}}}` (a multiple of ranks × workers)",
        )


def not_shared(report: Report) -> Iterator[Advice]:
    """Readers fetch what others have fetched, or fetch it record by record, for want of a directory to keep it in."""
    for cost in report.cost:
        requests, read = cost.shared_requests, cost.shared_read_bytes
        if not cost.files or requests is None or read is None or cost.read_bytes < SMALL_BYTES:
            continue
        if cost.read_bytes > BETTER * read or cost.requests > MANY_REQUESTS * requests:
            who = "1 reader makes" if cost.readers == 1 else f"{count(cost.readers)} readers make"
            yield Advice(
                "not-shared",
                f"on {cost.storage}, {who} {count(cost.requests)} requests for {bytes_text(cost.read_bytes)}; sharing "
                f"what they fetch, on one machine, {count(requests)} for {bytes_text(read)}",
                f"set {SPOOL_VARIABLE} (`--spool-dir`) to a directory on a local disk",
            )


def small_files(report: Report) -> Iterator[Advice]:
    """Opening files costs more than reading them."""
    files, size = report.reading.files, report.reading.bytes
    if files > MANY_FILES and size < files * SMALL_FILE_BYTES:
        yield Advice(
            "small-files",
            f"{count(files)} files of {bytes_text(size // files)} on average: opening them will cost more than reading",
            "join them into files of 100 MB or more",
        )


RULES: Final[tuple[Callable[[Report], Iterator[Advice]], ...]] = (
    ends_early,
    repeated,
    endless,
    budget_not_reached,
    left_over,
    overlapping,
    large_groups,
    read_often,
    lanes,
    not_shared,
    small_files,
)


def advice(report: Report) -> tuple[Advice, ...]:
    """Every warning about a report, in the order of RULES."""
    return tuple(found for rule in RULES for found in rule(report))
