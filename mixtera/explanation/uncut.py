"""Why a plan of sequences delivers no part of a document of its components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtera.artifact.sequences import Mixed
from mixtera.order.concat import Concatenation
from mixtera.plan import Plan


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a component.

    Attributes:
        component: The component's number.
        entry: Its entry.
        rank: Its rank inside the entry.
        tokens: Its tokens.
        excluded: Whether a list leaves it out.
    """

    component: int
    entry: int
    rank: int
    tokens: int
    excluded: bool


def document_of(plan: Plan, sample: int) -> Document | None:
    """The document of a sample; None if no component has it, or positions are samples."""
    found = plan.pointers.entry_of(sample)
    tokens = plan.data.tokens
    if found is None or tokens is None or not tokens.packs:
        return None
    component, entry, rank = found
    if plan.data.columns[component]:
        return None  # a position is a sample
    permutation = plan.pointers.permutation
    held = int(tokens.counts[permutation.sample_first[entry] + rank])
    return Document(component, entry, rank, held, permutation.is_excluded(entry, rank))


def uncut(plan: Plan, document: Document) -> str:
    """Why no sequence up to the plan's end has a part of a document; the end of a sentence."""
    part = plan.data.components[document.component]
    if document.excluded:
        return f"it is of component {part.name}, and a list under `exclude` names it"
    if not document.tokens:
        return f"it is of component {part.name}, and has no tokens"
    begins, packer, total = plan.data.begins, plan.sequences.packer, plan.data.timeline.total
    packer = packer.packer if isinstance(packer, Mixed) else packer
    if total is None:
        return f"it is of component {part.name}"
    if isinstance(packer, Concatenation):
        epoch, place = _first_place(plan, packer, document)
    else:
        epoch, place = 0, min(packer.places_of(0, document.component, document.entry, document.rank), default=None)
    if begins is not None and place is None:
        return (
            f"it is of component {part.name}, and was delivered, or a part of it, before position "
            f"{begins.position:,}, where this plan takes over from {begins.name!r} ({begins.plan}); ask that one"
        )
    given = int(plan.data.timeline.filled(np.array([total]))[0, document.component])
    if isinstance(packer, Concatenation) and part.places is not None and given >= part.places:
        start = packer.permutation.places.start
        cursor, head = (int(values[document.component]) for values in (start.cursor, start.head_sizes))
        stop = (cursor + given - head) * packer.stride + packer.overlap
        rest = packer.tokens_before(document.component, epoch + 1) - stop
        if rest < packer.stride:
            return (
                f"it is of component {part.name}, among the last {rest:,} tokens of it: they fill no sequence of "
                f"{packer.row_tokens:,}"
            )
    return (
        f"it would begin in sequence {(place or 0) + 1:,} of component {part.name}, and the plan ends after {given:,} "
        "of that component"
    )


def _first_place(plan: Plan, packer: Concatenation, document: Document) -> tuple[int, int | None]:
    """The epoch that the plan begins in, and the document's first place in it; None where an earlier plan has it."""
    component, places = document.component, packer.permutation.places
    epoch = packer.epoch_with(component, places.lowest(component) * packer.stride)
    counted = packer.counted_of(epoch, component, document.entry, document.rank)
    found = (places.uncounted(component, one) for one in counted)
    return epoch, min((one for one in found if one is not None), default=None)
