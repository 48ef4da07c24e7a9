"""Bars: the lists of a page that are drawn as bars under lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mixtera.explanation.mixture import components
from mixtera.explanation.model import Part, Report
from mixtera.explanation.numbers import bytes_text, count, percent, samples
from mixtera.explanation.plots import Bar, Piece

MOST: Final = 12
"""Bars of a list; the table has all."""


def waterfall(report: Report) -> list[Bar]:
    """From the catalog to what is delivered: what each step keeps, and what it loses."""
    if not report.waterfall or report.selection is None:
        return []
    every = report.waterfall[-1]
    steps = [
        ("in the catalog", every.rows),
        ("kept by the filter" if report.selection.filter else "kept (no filter)", every.kept),
        *([("on this side of the split", every.kept - report.selection.held_out)] if report.selection.held_out else []),
        ("in a component" + (", not excluded" if report.selection.excluded else ""), every.chosen),
        ("delivered at least once", every.seen),
    ]
    before = every.rows
    found = []
    for name, value in steps:
        kept = Piece(0, value, "kept", f"{name}: {samples(value)}")
        lost = (Piece(value, before, "lost", f"not {name}: {samples(before - value)}"),) if before > value else ()
        loss = f" · −{count(before - value)}" if before > value else ""
        found.append(Bar(name, f"{count(value)}{loss} · {percent(value / max(1, every.rows))}", (kept, *lost)))
        before = value
    return found


def final_epochs(report: Report) -> list[Bar]:
    """The components that are delivered most often, until the end; none where there is no end."""
    parts = [part for part in components(report.mixture) if part.epochs is not None]
    return [_epochs(part, report.unit) for part in sorted(parts, key=lambda part: -(part.epochs or 0))[:MOST]]


def _epochs(part: Part, unit: str) -> Bar:
    epochs = part.epochs or 0.0
    most = "" if part.max_epochs == 1 else " of any number" if part.max_epochs is None else f" of {part.max_epochs:.4g}"
    held = samples(part.samples, unit)
    says = f"{part.full_name}: {held}, {count(part.delivered or 0)} positions, {epochs:.2f} epochs"
    return Bar(part.full_name, f"{epochs:.2f}{most}", (Piece(0, epochs, "kept", says),))


def sizes(report: Report) -> list[Bar]:
    """The largest components by what they hold: delivered at least once, and never."""
    return [_size(part, report.unit) for part in _largest(components(report.mixture))]


def _largest(parts: Sequence[Part]) -> list[Part]:
    return sorted(parts, key=lambda part: -part.samples)[:MOST]


def _size(part: Part, unit: str) -> Bar:
    unseen = part.unseen or 0
    given = part.samples - unseen
    seen = Piece(0, given, "kept", f"{part.full_name}: {samples(given, unit)} delivered")
    never = Piece(given, part.samples, "lost", f"{part.full_name}: {samples(unseen, unit)} never delivered")
    note = f" · {percent(unseen / part.samples)} never seen" if unseen else ""
    return Bar(part.full_name, f"{count(part.samples)}{note}", (seen, never) if unseen else (seen,))


def sources(report: Report) -> list[Bar]:
    """The largest sources by stored bytes."""
    return [
        Bar(
            source.name,
            bytes_text(source.bytes),
            (Piece(0, source.bytes, "kept", f"{source.name}: {source.files} files, {bytes_text(source.bytes)}"),),
        )
        for source in sorted(report.sources, key=lambda source: -source.bytes)[:MOST]
    ]
