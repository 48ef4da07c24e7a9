"""The small sections: the plan, its sources, the selection, the order, memory."""

from __future__ import annotations

from typing import Final

import numpy as np

from mixtera.artifact.model import PlanData
from mixtera.artifact.pointers import kept_counts
from mixtera.explanation.facts import ContinuesFact, Facts
from mixtera.explanation.model import Continued, Continues, Memory, PlanSummary, Selection, SourceSummary
from mixtera.explanation.ordering import OrderSummary
from mixtera.explanation.simulation import CACHE_BYTES
from mixtera.explanation.tokens import documents_of
from mixtera.stream.stream import BUDGET_BYTES

_WORD: Final = 8
"""Bytes of an int64."""
_EPOCHS: Final = 3
"""Epochs whose permutation a reader keeps."""


def plan_summary(data: PlanData, digest: str, facts: Facts) -> PlanSummary:
    """Name, digest, length, the lock that it was compiled under, and the plan that it takes over from."""
    lock = data.facts.get("lock")
    known = lock if isinstance(lock, str) else None
    samples = int(kept_counts(data).sum())
    return PlanSummary(data.name, digest, data.timeline.total, samples, known, data.first, _continues(data, facts))


def _continues(data: PlanData, facts: Facts) -> Continues | None:
    if data.begins is None:
        return None
    found = facts.continues or ContinuesFact((), ())
    components = tuple(Continued(one.name, one.fate, one.delivered) for one in found.components)
    return Continues(data.begins.plan, data.begins.name, components, found.gone)


def sources_of(data: PlanData, facts: Facts) -> tuple[SourceSummary, ...]:
    """Each source with its files and how much of it is chosen."""
    file_source, rows, size = (data.files.column(name).to_numpy() for name in ("source", "rows", "size"))
    chosen = _samples_per_file(data)
    indexed = {source.name: source.rows for source in facts.sources}
    return tuple(
        SourceSummary(
            name=source.name,
            format=source.format,
            files=int(np.count_nonzero(mine)),
            files_read=int(np.count_nonzero(chosen[mine])),
            rows=indexed.get(source.name, int(rows[mine].sum())),
            bytes=int(size[mine].sum()),
            samples=int(chosen[mine].sum()),
        )
        for source, mine in ((source, file_source == number) for number, source in enumerate(data.sources))
    )


def _samples_per_file(data: PlanData) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    file = data.segments.column("file").to_numpy()[data.entries.column("segment").to_numpy()]
    counts = np.zeros(data.files.num_rows, np.int64)
    np.add.at(counts, file, kept_counts(data))
    return counts


def selection_of(data: PlanData, facts: Facts) -> Selection | None:
    """From all samples to those of the mixture; None when the plan does not say."""
    if not facts.sources:
        return None
    rows = sum(source.rows for source in facts.sources)
    return Selection(
        filter=facts.definition.filter,
        rows=rows,
        kept=rows - sum(source.dropped for source in facts.sources),
        chosen=int(kept_counts(data).sum()),
        weightless=sum(source.weightless for source in facts.sources),
        left_over=sum(source.unassigned for source in facts.sources),
        held_out=sum(source.held_out for source in facts.sources),
        excluded=sum(source.excluded for source in facts.sources),
    )


def order_summary(data: PlanData) -> OrderSummary:
    """The order's parameters and what they come to."""
    order = data.order
    return OrderSummary(
        shuffle=order.shuffle,
        seed=order.seed,
        chunk_size=order.chunk_size,
        lanes=order.lanes,
        granule=order.granule,
        window_samples=_window_samples(data),
        round_samples=order.chunk_size * order.lanes,
        curricula=tuple(data.components[number].name for number in sorted(data.variation.sequences)),
        in_file_order=tuple(data.components[number].name for number in sorted(data.variation.in_file_order)),
    )


def _window_samples(data: PlanData) -> int:
    """Samples of a window, on average over the positions at the start of the plan.

    A window has the samples of some segments, or, where whole documents are fitted into rows, so many of them.
    """
    weights = np.array(data.timeline.phases[0].weights)
    samples = documents_of(data)
    fitted = None if data.tokens is None else data.tokens.windows
    if fitted is not None:
        return round(float(np.average(np.minimum(samples, fitted.documents), weights=weights)))
    windows = np.maximum(1.0, np.diff(data.component_entries) / data.order.window_segments)
    return round(float(np.average(samples / windows, weights=weights)))


def _token_bytes(data: PlanData) -> int:
    return 0 if data.tokens is None else data.tokens.counts.nbytes + data.tokens.entry_counts.nbytes


def memory_of(data: PlanData) -> Memory:
    """Bytes of the plan, and of what a reader holds."""
    tables = data.files.nbytes + data.segments.nbytes + data.entries.nbytes
    entries, segments, files = data.entries.num_rows, data.segments.num_rows, data.files.num_rows
    return Memory(
        plan_bytes=tables + data.rows.nbytes + data.starts.nbytes + _token_bytes(data),
        order_bytes=_WORD * ((4 + 3 * _EPOCHS) * entries + 5 * segments + files),
        flight_bytes=BUDGET_BYTES + CACHE_BYTES,
    )
