"""The report as a Mermaid flowchart: sources → filter → components → stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count as numbers
from typing import Final

from mixtera.explanation import phrases
from mixtera.explanation.escaping import mermaid_text
from mixtera.explanation.mixture import components
from mixtera.explanation.model import Part, Report
from mixtera.explanation.numbers import bytes_text, count, percent, samples

COMPONENTS: Final = 40
"""Components that are drawn, those of the largest shares; the others of each group become one node."""
_CHARACTERS: Final = 200
"""Of a filter that is longer, the beginning is shown."""
_BREAK: Final = "<br/>"


def mermaid(report: Report) -> str:
    """The flowchart. Mixtures of many components are cut: the largest shares of each group are drawn."""
    return "\n".join(["flowchart LR", *(f"  {line}" for line in _lines(report))]) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield from _sources(report)
    yield from _mixture(report)
    yield _node("stream", "([", [f"stream {report.plan.name}", phrases.length(report), phrases.end(report)], "])")
    yield "mixture --> stream"


def _sources(report: Report) -> Iterator[str]:
    selection = report.selection
    into = "mixture" if selection is None else "filter"
    for number, source in enumerate(report.sources):
        what = f"{count(source.files)} file{'' if source.files == 1 else 's'} {source.format}"
        yield _node(f"source{number}", "[(", [source.name, f"{what}, {bytes_text(source.bytes)}"], ")]")
        yield f'source{number} -->|"{mermaid_text(samples(source.rows))}"| {into}'
    if selection is None:
        return
    written = selection.filter or "no filter"
    cut = written if len(written) <= _CHARACTERS else f"{written[:_CHARACTERS]}…"
    dropped = selection.rows - selection.kept
    yield _node("filter", "{{", [cut, f"{count(selection.kept)} of {samples(selection.rows)} kept"], "}}")
    yield f'filter -->|"{mermaid_text(samples(selection.chosen))}"| mixture'
    lost = [
        ("dropped", "dropped by the filter", dropped),
        ("heldout", "on the other side of the split", selection.held_out),
        ("excluded", "excluded", selection.excluded),
        ("leftover", "in no component", selection.left_over),
        ("weightless", "in a component of weight 0", selection.weightless),
    ]
    for name, why, number in lost:
        if number:
            yield f'filter -.->|"{mermaid_text(samples(number))}"| {_node(name, "[", [why], "]")}'


def _mixture(report: Report) -> Iterator[str]:
    largest = sorted(components(report.mixture), key=lambda part: -part.share)[:COMPONENTS]
    drawn = frozenset(part.full_name for part in largest)
    yield from _group("mixture", ["mixture"], report.mixture, numbers(), drawn, report.unit)


def _group(
    name: str, title: Sequence[str], parts: Sequence[Part], number: Iterator[int], drawn: frozenset[str], unit: str
) -> Iterator[str]:
    yield f'subgraph {name}["{_label(title)}"]'
    others = []
    for part in parts:
        if drawn.isdisjoint(leaf.full_name for leaf in components([part])):
            others.append(part)
        elif part.parts:
            inside = _group(f"part{next(number)}", _title(part, unit), part.parts, number, drawn, unit)
            yield from (f"  {line}" for line in inside)
        else:
            yield f"  {_node(f'part{next(number)}', '[', _title(part, unit), ']')}"
    if others:
        share, held = sum(part.share for part in others), sum(part.samples for part in others)
        more = [f"{count(len(components(others)))} more", f"{percent(share)}, {samples(held, unit)}"]
        yield f"  {_node(f'part{next(number)}', '[', more, ']')}"
    yield "end"


def _title(part: Part, unit: str) -> list[str]:
    """The lines of a component; a group has one line, as Mermaid draws its title in the way of what is inside."""
    ends = ["nothing left at the end"] if part.ends_plan else []
    figures = [
        percent(part.share),
        samples(part.samples, unit),
        *([] if part.epochs is None else [f"{part.epochs:.2f} epochs"]),
    ]
    if part.parts:
        return [f"{part.name}: {', '.join(figures)}"]
    return [part.name, ", ".join(figures[:2]), *figures[2:], *ends]


def _node(name: str, opening: str, lines: Sequence[str], closing: str) -> str:
    return f'{name}{opening}"{_label(lines)}"{closing}'


def _label(lines: Sequence[str]) -> str:
    return _BREAK.join(map(mermaid_text, lines))
