"""Waterfall: from the samples of the catalog to those that are delivered at least once, by source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixtera.artifact.model import PlanData
from mixtera.artifact.pointers import kept_counts
from mixtera.explanation.facts import Facts, SourceFact
from mixtera.explanation.forecast import Funnel
from mixtera.explanation.model import Part


def waterfall(data: PlanData, facts: Facts, parts: Sequence[Part]) -> tuple[Funnel, ...]:
    """What becomes of the samples, by source and then in total; empty when the plan does not say.

    Args:
        data: The plan.
        facts: What the compiler wrote down.
        parts: The components, without groups.
    """
    if [source.name for source in facts.sources] != [source.name for source in data.sources]:
        return ()
    chosen = _samples_by_source(data)
    seen = np.array([part.samples - (part.unseen or 0) for part in parts])
    if data.packs:  # sequences: as many of the samples have been seen, about
        seen = np.round(chosen.sum(axis=1) * seen / np.maximum(1, [part.samples for part in parts])).astype(np.int64)
    each = chosen * (seen / np.maximum(1, chosen.sum(axis=1)))[:, None]
    partial = (chosen > 0) & (chosen.sum(axis=1) > seen)[:, None] & ((chosen > 0).sum(axis=1) > 1)[:, None]
    found = [
        _funnel(fact, int(chosen[:, number].sum()), round(float(each[:, number].sum())), bool(partial[:, number].any()))
        for number, fact in enumerate(facts.sources)
    ]
    return (*found, _total(found, int(seen.sum())))


def _samples_by_source(data: PlanData) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """[components, sources] chosen samples."""
    components, sources = len(data.components), len(data.sources)
    segment = data.entries.column("segment").to_numpy()
    file = data.segments.column("file").to_numpy()[segment]
    source = data.files.column("source").to_numpy()[file]
    component = np.repeat(np.arange(components), np.diff(data.component_entries))
    counts = np.bincount(component * sources + source, kept_counts(data), components * sources)
    return counts.astype(np.int64).reshape(components, sources)


def _funnel(fact: SourceFact, chosen: int, seen: int, about: bool) -> Funnel:
    return Funnel(fact.name, fact.rows, fact.rows - fact.dropped, chosen, seen, chosen - seen, about)


def _total(found: Sequence[Funnel], seen: int) -> Funnel:
    rows, kept, chosen = (sum(getattr(each, name) for each in found) for name in ("rows", "kept", "chosen"))
    return Funnel(None, rows, kept, chosen, seen, chosen - seen, False)
