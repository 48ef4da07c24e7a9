"""A comparison as text for people: only what changes is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from mixtera.comparison.model import Delivery, End, Flow, Part, Report, SideSummary, Stage
from mixtera.explanation.numbers import count, listed, percent, weight_text
from mixtera.explanation.numbers import samples as samples_text
from mixtera.explanation.table import WIDTH, clipped, table, wrapped
from mixtera.lockfile.difference import Change
from mixtera.lockfile.model import Scalar
from mixtera.lockfile.settings import SECTIONS, section_of
from mixtera.lockfile.show import source_lines
from mixtera.lockfile.tokens import shown

_INDENT: Final = "  "
_BOTH: Final = (_INDENT, _INDENT)
"""What stands before the first line of a sentence, and before the others."""
_UNKNOWN: Final = "Which samples are gained and lost a lock does not know: compare plans or specs."
_INSIDE: Final = WIDTH - len(_INDENT)
_ROWS: Final = 40
"""Components and stages that a table lists; JSON has all of them."""
_COLUMNS: Final = 4
"""Components that the course shows: those that change most."""
_COLUMN_WIDTH: Final = 18
_LEAST_CHANGE: Final = 1e-12
"""Shares that are closer are the same: what rounding leaves."""


def text(report: Report) -> str:
    """The whole comparison; lines of at most 100 columns where names allow it."""
    sections = (_head, _settings, _mixture, _samples, _sources, _course, _end, _steps, _spec)
    blocks = [lines for section in sections if (lines := list(section(report)))]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _head(report: Report) -> Iterator[str]:
    before, after = report.before, report.after
    yield f"{_side(before)} → {_side(after)}"
    if report.same:
        yield f"{_INDENT}nothing changes: both have the same files and plan"
        yield f"{_INDENT}{before.plan}"
    elif before.plan == after.plan:
        yield f"{_INDENT}the plan is the same, over files that are not"
        yield f"{_INDENT}{before.plan}"
    else:
        yield f"{_INDENT}{before.plan} →"
        yield f"{_INDENT}{after.plan}"


def _side(side: SideSummary) -> str:
    return f"{side.kind} {side.label}"


def _settings(report: Report) -> Iterator[str]:
    found = {section: list(_changed(title, section, report.settings)) for section, title in SECTIONS.items()}
    for number, lines in enumerate(filter(None, found.values())):
        yield from ["", *lines] if number else lines


def _changed(title: str, section: str, settings: Sequence[Change[Scalar]]) -> Iterator[str]:
    mine = [one for one in settings if section_of(one.name) == section]
    rows = [(one.name, _value(one.name, one.before), _value(one.name, one.after)) for one in mine]
    if rows:
        yield title
        yield from _cut([("", "before", "after"), *rows])


def _value(name: str, value: Scalar) -> str:
    if value is None:
        return "no end" if name == "positions" else "none"
    if isinstance(value, str):
        return shown(name, value)
    return str(value) if name == "seed" else f"{value:g}" if isinstance(value, float) else count(value)


def _mixture(report: Report) -> Iterator[str]:
    """The tree, where anything of it changes: unchanged values stand once."""
    changed = [part for part in report.parts if not _is_same(part.before, part.after)]
    if not changed:
        return
    was = {new: old for old, new in (report.samples.renamed if report.samples else ())}
    endless = report.before.positions is None, report.after.positions is None
    head = ("component", "weight", "share", report.unit, "delivered", "places", "on_exhaust")
    yield "Mixture"
    yield from _cut([head, *(_part(part, was, endless) for part in report.parts)])


def _part(part: Change[Part], was: Mapping[str, str], endless: tuple[bool, bool]) -> tuple[str, ...]:
    sides = [_cells(side, end) for side, end in zip((part.before, part.after), endless, strict=True)]
    pairs = [_pair(*pair) for pair in zip(*sides, strict=True)]
    pairs[4:] = [pair if "→" in pair else "" for pair in pairs[4:]]  # these are of interest where they change
    if all(side is None or side.places == side.samples for side in (part.before, part.after)):
        pairs[4] = ""  # once each: `samples` says it
    return (_name(part, was), *pairs)


def _cells(part: Part | None, endless: bool) -> tuple[str, ...]:
    if part is None:
        return ("",) * 6
    delivered = "" if part.delivered is None else count(part.delivered)
    return (
        weight_text(part.weight),
        percent(part.share),
        count(part.samples),
        delivered or ("no end" if endless else ""),
        "" if part.on_exhaust is None else "no end" if part.places is None else count(part.places),
        part.on_exhaust or "",
    )


def _is_same(before: Part | None, after: Part | None) -> bool:
    if before is None or after is None:
        return False
    close = abs(before.share - after.share) < _LEAST_CHANGE
    return close and replace(before, share=0.0) == replace(after, share=0.0)


def _name(part: Change[Part], was: Mapping[str, str]) -> str:
    mark = "+ " if part.before is None else "- " if part.after is None else "  "
    renamed = f" (was {was[part.name]})" if part.name in was else ""
    return f"{mark}{'  ' * part.name.count('/')}{part.name.rpartition('/')[2]}{renamed}"


def _pair(before: str, after: str) -> str:
    """Both values, or one where they are the same or one side has none."""
    if not before or not after or before == after:
        return before or after
    return f"{before} → {after}"


def _samples(report: Report) -> Iterator[str]:
    found = report.samples
    if found is None:
        if not report.same:
            yield "Samples"
            yield from wrapped(_UNKNOWN, *_BOTH)
        return
    if not (found.gained or found.lost or found.moved or found.in_changed_files):
        return
    flows = [flow for flow in found.flows if flow.gained or flow.lost or flow.moved_in or flow.moved_out]
    yield "Samples"
    if flows:
        total = ("all", *map(count, (found.kept, found.gained, found.lost, found.moved, found.moved)))
        rows = [total, *map(_flow, flows)] if len(flows) > 1 else [*map(_flow, flows)]
        yield from _cut([("component", "kept", "gained", "lost", "moved in", "moved out"), *rows])
    if found.in_changed_files:
        sentence = "of those in both lie in files that changed: the same rows may hold other content"
        yield from wrapped(f"{samples_text(found.in_changed_files)} {sentence}.", *_BOTH)


def _flow(flow: Flow) -> tuple[str, ...]:
    return (flow.name, *map(count, (flow.kept, flow.gained, flow.lost, flow.moved_in, flow.moved_out)))


def _sources(report: Report) -> Iterator[str]:
    if report.sources:
        yield "Files"
        yield from (f"{_INDENT}{line}" for source in report.sources for line in source_lines(source))


def _course(report: Report) -> Iterator[str]:
    """Shares over time, of the components whose shares differ most."""
    stages = report.stages or ()
    names = _most_differing(stages)
    if not names:
        return
    yield "Course (shares before → after)"
    rows = [(count(stage.first), *(_shares(stage, name) for name in names)) for stage in stages]
    yield from _cut([("from", *(clipped(name, _COLUMN_WIDTH) for name in names)), *rows])


def _most_differing(stages: Sequence[Stage]) -> list[str]:
    most: dict[str, float] = {}
    for stage in stages:
        before, after = stage.before or {}, stage.after or {}
        for name in {**before, **after}:
            difference = abs(before.get(name, 0.0) - after.get(name, 0.0))
            most[name] = max(most.get(name, 0.0), difference)
    chosen = sorted((name for name in most if most[name] > _LEAST_CHANGE), key=lambda name: -most[name])[:_COLUMNS]
    return [name for name in most if name in chosen]


def _shares(stage: Stage, name: str) -> str:
    before, after = (
        "ended" if shares is None else percent(shares.get(name, 0.0)) for shares in (stage.before, stage.after)
    )
    return before if before == after else f"{before} → {after}"


def _end(report: Report) -> Iterator[str]:
    before, after = report.end.before, report.end.after
    if before is None or after is None or before == after:
        return
    if None in (before.kind, after.kind) and before.positions == after.positions:
        return  # all that a lock knows of its end is the same
    yield "End"
    for label, side, found in (("before", report.before, before), ("after", report.after, after)):
        yield from wrapped(f"{label}: {_ending(found, side.unit)}", _INDENT, _INDENT * 3)


def _ending(end: End, unit: str) -> str:
    if end.positions is None:
        return f"no end{f': {listed(end.components)} may repeat for ever' if end.components else ''}"
    why = {
        None: "",
        "budget": ", where the budget ends",
        "complete": ", when every component has given all it may",
        "exhausted": _exhausted(end),
        "endless": "",
    }[end.kind]
    unseen = f"; {samples_text(end.unseen, unit)} never seen" if end.unseen else ""
    first = f"; {end.first_exhausted} is the first with nothing left, at {count(end.exhausted_at or 0)}"
    return f"position {count(end.positions)}{why}{unseen}{first if end.first_exhausted else ''}"


def _exhausted(end: End) -> str:
    verb = "has" if len(end.components) == 1 else "have"
    return f", when {listed(end.components)} {verb} nothing left" if end.components else ""


def _steps(report: Report) -> Iterator[str]:
    found = report.divergence
    if found is None or (report.same and found.complete):
        return
    yield "From which step"
    if found.position is not None:
        step = "" if found.step is None else f" (step {count(found.step)})"
        same = found.position - found.first
        before = f"; the {count(same)} before {'is' if same == 1 else 'are'} the same" if same else ""
        yield from wrapped(f"The first difference is at position {count(found.position)}{step}{before}.", *_BOTH)
        yield from _table(
            [("", report.unit.removesuffix("s"), "component"), *_deliveries(found.before, found.after)], left=3
        )
        if found.before == found.after:
            yield from wrapped(
                "It is the same part of the same documents, made of other tokens or cut otherwise.", *_BOTH
            )
    elif found.complete:
        yield from wrapped(
            f"The same {report.unit} in the same order up to the end, position {count(found.stop)}.", *_BOTH
        )
    else:
        yield from wrapped(
            f"The same {report.unit} in the same order from position {count(found.first)} to {count(found.stop)}; "
            "nothing was compared behind that (`--until P` looks further).",
            *_BOTH,
        )
    if found.changed_file is not None:
        what = "a sample" if report.unit == "samples" else "a document"
        yield from wrapped(
            f"Position {count(found.changed_file)} is the first with {what} of a file that changed.", *_BOTH
        )


def _deliveries(before: Delivery | None, after: Delivery | None) -> list[tuple[str, str, str]]:
    return [
        (label, "has ended" if found is None else _delivered(found), "" if found is None else found.component)
        for label, found in (("before", before), ("after", after))
    ]


def _delivered(found: Delivery) -> str:
    if found.first_token is None or found.last_token is None or found.documents is None:
        return found.sample
    more = f" and {found.documents - 1:,} more" if found.documents > 1 else ""
    return f"{found.sample} tokens {found.first_token:,} … {found.last_token:,}{more}"


def _spec(report: Report) -> Iterator[str]:
    if report.spec:
        yield "Spec"
        yield from (f"{_INDENT}{line}" for line in report.spec)


def _table(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    return [_INDENT + line for line in table(rows, left=left, width=_INSIDE)]


def _cut(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table of so many rows at most."""
    yield from _table(rows[: _ROWS + 1])
    if len(rows) > _ROWS + 1:
        yield f"{_INDENT}… and {count(len(rows) - _ROWS - 1)} more; `--format json` has all of them"
