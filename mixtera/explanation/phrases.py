"""Phrases: what all views say in the same words."""

from __future__ import annotations

from typing import Final

from mixtera.artifact.model import SEGMENT_ROWS
from mixtera.explanation.forecast import Change, Cost, Event, TokensSummary
from mixtera.explanation.model import Continued, Reads, Report, Span
from mixtera.explanation.numbers import bytes_text, count, listed, percent

SIMULATED: Final = "simulated over {} positions from the start; 1.00 × is best"
SEEN_ABOUT: Final = "about: where a component of several sources is not finished, the shuffle decides"


def length(report: Report) -> str:
    """How long the stream is."""
    positions = report.plan.positions
    if positions is None:
        return "without end"
    steps = f" ({count(positions // report.batch)} steps of {count(report.batch)})" if report.batch else ""
    begins = f" from position {count(report.plan.first)} on" if report.plan.first else ""
    what = "positions" if report.tokens is None else f"rows of {count(report.tokens.sequence_length)} tokens"
    return f"{count(positions)} {what}{steps}{begins}"


def rows_of_tokens(found: TokensSummary) -> str:
    """What a row of tokens is made of."""
    label = " and one for the labels" if found.row_tokens > found.sequence_length else ""
    how = {
        "concat": "the documents of a component one after the other, cut",
        "best_fit": "whole documents, as many as fit, padded",
        "none": "a document, cut or padded",
    }[found.packing]
    overlap = f", {count(found.overlap)} of them the last of the row before" if found.overlap else ""
    around = f"; around a text: {found.around}" if found.around else ""
    most = found.max_document_tokens
    longest = "" if most is None else f"; documents end at {count(most)} tokens"
    return f"rows of {count(found.sequence_length)} tokens{label}{overlap}: {how}{around}{longest}"


def fate(found: Continued, unit: str) -> str:
    """What becomes of a component of a plan that takes over; what was delivered of it are `unit`."""
    what = {"goes on": "goes on where it stood"}.get(found.fate, f"{found.fate}: without what was delivered")
    return f"{what} ({count(found.delivered)} {unit} of its epoch)"


def documents(report: Report) -> str:
    """What the samples of a plan are called: documents where sequences are made of them."""
    return "documents" if report.unit == "sequences" else "samples"


def shuffled(report: Report) -> str:
    """How each component is put in order."""
    order = report.order
    if order.shuffle == "none":
        return "shuffle none: each component in the order of its files"
    window = f"windows of about {count(order.window_samples)} {documents(report)}"
    begins = f"shuffle global, seed {order.seed}"
    if report.tokens is not None and report.tokens.packing == "best_fit" and not report.tokens.as_samples:
        return f"{begins}: {window}, fitted into rows; windows, and the rows inside them, in another order each epoch"
    return (
        f"{begins}: segments of up to {count(SEGMENT_ROWS)} rows over all files, then "
        f"{'rows' if documents(report) == 'samples' else 'documents'} inside {window}; a new permutation each epoch"
    )


def what_changes(span: Span) -> str:
    """What happens where a span begins."""
    leaving = f"{listed(span.leaving, 2)} {'leaves' if len(span.leaving) == 1 else 'leave'}" if span.leaving else ""
    begins = {"start": "start", "weights": "weights change", "ramp": "ramp", "leaves": ""}[span.begins]
    return ", ".join(filter(None, (begins, leaving)))


def event(found: Event) -> str:
    """What happens at an event."""
    several = len(found.components) != 1
    match found.kind:
        case "repeats":
            return "every sample was delivered once, and comes again"
        case "leaves":
            return f"nothing is left, the others take {'their' if several else 'its'} share"
        case "ends":
            return "nothing is left, the stream ends"


def end(report: Report) -> str:
    """How the stream ends, as a sentence."""
    found, positions = report.end, report.plan.end
    names = listed(found.components)
    if found.kind == "endless" or positions is None:
        return f"The stream has no end: {names} may repeat for ever."
    at = f"The stream ends at position {count(positions)}"
    if found.kind == "budget":
        return f"{at}, where the budget ends."
    if found.kind == "complete":
        return f"{at}, when every component has given all it may."
    what = "has nothing left" if len(found.components) == 1 else "have nothing left"
    return f"{at}: the next {report.unit.removesuffix('s')} would be of {names}, which {what}."


def turns(group: int) -> str:
    """How positions that deliver different things follow each other."""
    return f"{count(group)} positions in a row deliver the same: batches whose size divides {count(group)} never mix"


def change(found: Change) -> str:
    """What to write to move the end."""
    match found.kind:
        case "max_epochs":
            return f"`max_epochs: {found.value:g}` for {found.component}"
        case "weight":
            return f"a share of {percent(found.value or 0)} for {found.component}"
        case "redistribute":
            return f"`on_exhaust: redistribute` for {found.component}"


def readers(reads: Reads) -> str:
    """Readers and lanes of a simulation."""
    return f"{count(reads.readers)} reader{'' if reads.readers == 1 else 's'}, {count(reads.lanes)} lanes"


def storage(cost: Cost) -> str:
    """A storage, and whether files lie on it."""
    return cost.storage if cost.files else f"{cost.storage} (if the files were there)"


def profile(cost: Cost) -> str:
    """How a storage wants to be read."""
    return f"requests of {bytes_text(cost.request_bytes)}, gaps of {bytes_text(cost.gap_bytes)} read along"
