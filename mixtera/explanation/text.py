"""The report as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mixtera.explanation import phrases
from mixtera.explanation.forecast import Event, TokenPart
from mixtera.explanation.mixture import components
from mixtera.explanation.model import Part, Report
from mixtera.explanation.numbers import bytes_text, count, listed, multiple, percent, weight_text
from mixtera.explanation.steered import sentences
from mixtera.explanation.table import WIDTH, clipped, table, wrapped

_INDENT: Final = "  "
_INSIDE: Final = WIDTH - len(_INDENT)
_NAME_WIDTH: Final = 36
_SHOWN_IF_ANY: Final = ("on the other side of the split", "excluded", "in a component of weight 0")
_PARTS: Final = 40
"""Components that the text lists; JSON has all of them."""


def text(report: Report) -> str:
    """The whole report; lines of at most 100 columns where names allow it."""
    sections = (
        *(
            _head,
            _continues,
            _sources,
            _selection,
            _tokens,
            _mixture,
            _bounded,
            _steered,
            _course,
            _events,
            _end,
            _limit,
            _overlap,
        ),
        *(_reading, _order, _warnings),
    )
    blocks = [lines for section in sections if (lines := list(section(report)))]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _head(report: Report) -> Iterator[str]:
    plan = report.plan
    yield f"Plan {plan.name}: {phrases.length(report)} over {count(plan.samples)} samples"
    yield f"{_INDENT}{plan.digest}"
    if plan.lock is not None:
        yield f"{_INDENT}as locked: {plan.lock}"


def _continues(report: Report) -> Iterator[str]:
    """What becomes of the components of a plan that takes over."""
    found = report.plan.continues
    if found is None:
        return
    yield f"Continues {found.name} from position {count(report.plan.first)}"
    yield f"{_INDENT}{found.plan}"
    unit = phrases.documents(report)
    rows = [(clipped(one.name, _NAME_WIDTH), phrases.fate(one, unit)) for one in found.components[:_PARTS]]
    yield from _indented(table(rows, left=2, width=_INSIDE))
    if len(found.components) > _PARTS:
        yield f"{_INDENT}… and {count(len(found.components) - _PARTS)} more; `--format json` has all of them"
    if found.gone:
        yield from wrapped(", ".join(found.gone), f"{_INDENT}no more: ", _INDENT * 5)


def _sources(report: Report) -> Iterator[str]:
    head = ("source", "format", "files", "rows", "size", "samples in the mixture")
    rows = [
        (s.name, s.format, count(s.files), count(s.rows), bytes_text(s.bytes), count(s.samples)) for s in report.sources
    ]
    yield "Sources"
    yield from _indented(table([head, *rows], left=2, width=_INSIDE))


def _selection(report: Report) -> Iterator[str]:
    chosen = report.selection
    if chosen is None:
        return
    rows = [("", "samples", "of all"), ("in the catalog", count(chosen.rows), "")]
    for label, value in (
        ("kept by the filter" if chosen.filter else "kept (no filter)", chosen.kept),
        ("on the other side of the split", chosen.held_out),
        ("excluded", chosen.excluded),
        ("in a component", chosen.chosen),
        ("in a component of weight 0", chosen.weightless),
        ("in no component", chosen.left_over),
        *(("delivered at least once", every.seen) for every in report.waterfall[-1:]),
    ):
        if label in _SHOWN_IF_ANY and not value:
            continue
        rows.append((label, count(value), percent(value / chosen.rows if chosen.rows else 0.0)))
    yield "Selection"
    if chosen.filter:
        yield from wrapped(chosen.filter, f"{_INDENT}filter: ", _INDENT * 5)
    yield from _indented(table(rows))
    if len(report.waterfall) > 2:
        yield from _indented(table([("", "in the catalog", "kept", "in a component", "delivered"), *_funnels(report)]))
    if any(each.about for each in report.waterfall):
        yield f"{_INDENT}({phrases.SEEN_ABOUT})"


def _funnels(report: Report) -> Iterator[tuple[str, ...]]:
    for each in report.waterfall[:-1]:
        seen = f"{'about ' if each.about else ''}{count(each.seen)}"
        yield clipped(each.source or "", _NAME_WIDTH), count(each.rows), count(each.kept), count(each.chosen), seen


def _tokens(report: Report) -> Iterator[str]:
    """How samples become rows of tokens."""
    found = report.tokens
    if found is None:
        return
    yield "Tokens"
    yield f"{_INDENT}tokenizer {clipped(found.tokenizer, _INSIDE - 60)}: {count(found.vocab_size)} ids"
    yield from wrapped(phrases.rows_of_tokens(found), _INDENT, _INDENT)
    if found.parts:
        head: tuple[str, ...] = ("component", "samples", "tokens", "of a sample", "sequences of an epoch")
        head = head if found.parts[0].padding is None else (*head, "padding")
        rows = [_token_row(part) for part in found.parts[:_PARTS]]
        yield from _indented(table([head, *rows], width=_INSIDE))
        if len(found.parts) > _PARTS:
            yield f"{_INDENT}… and {count(len(found.parts) - _PARTS)} more; `--format json` has all of them"
    if found.as_samples:
        yield f"{_INDENT}delivered as they are, a sample a position:"
        samples_of = [(clipped(p.name, _NAME_WIDTH), count(p.samples), ", ".join(p.columns)) for p in found.as_samples]
        yield from _indented(
            _indented(table([("component", "samples", "columns"), *samples_of[:_PARTS]], width=_INSIDE))
        )
    if found.group is not None:
        yield from wrapped(phrases.turns(found.group), _INDENT, _INDENT)


def _token_row(part: TokenPart) -> tuple[str, ...]:
    mean = f"{part.tokens / max(1, part.documents):,.1f}"
    name = clipped(part.name, _NAME_WIDTH)
    padding = () if part.padding is None else (percent(part.padding),)
    return name, count(part.documents), count(part.tokens), mean, count(part.sequences), *padding


def _mixture(report: Report) -> Iterator[str]:
    head = ("component", "weight", "share", report.unit, "delivered", "epochs", "at most", "first epoch ends at")
    capped = any(part.max_epochs != 1 for part in components(report.mixture))
    rows = [row for part in report.mixture for row in _part_rows(part, 0, report.plan.positions is None, capped)]
    hidden = len(rows) - _PARTS
    yield f"Mixture (by {', '.join(report.by)})" if report.by else "Mixture"
    yield from _indented(table([head, *rows[:_PARTS]], width=_INSIDE))
    if hidden > 0:
        yield f"{_INDENT}… and {count(hidden)} more; `--format json` has all of them"


def _part_rows(part: Part, depth: int, endless: bool, capped: bool) -> Iterator[tuple[str, ...]]:
    yield (
        "  " * depth + part.name,
        weight_text(part.weight),
        percent(part.share),
        count(part.samples),
        "" if part.delivered is None else count(part.delivered),
        "" if part.epochs is None else f"{part.epochs:.2f}",
        _most_epochs(part) if capped and not part.parts else "",
        _first_epoch(part, endless),
    )
    for below in part.parts:
        yield from _part_rows(below, depth + 1, endless, capped)


def _most_epochs(part: Part) -> str:
    return "no limit" if part.max_epochs is None else f"{part.max_epochs:.4g}"


def _first_epoch(part: Part, endless: bool) -> str:
    if part.parts:
        return ""
    if part.first_epoch_ends is None:
        return "never" if not endless else ""
    return count(part.first_epoch_ends)


def _bounded(report: Report) -> Iterator[str]:
    """Shares that floors and ceilings changed."""
    if not report.bounded:
        return
    over_time = len({bound.first for bound in report.bounded}) > 1
    head = ("component", *(("from",) if over_time else ()), "asked", "share")
    rows = [
        (bound.name, *((count(bound.first),) if over_time else ()), percent(bound.asked), percent(bound.share))
        for bound in report.bounded[:_PARTS]
    ]
    yield "Bounds (shares among siblings that floors and ceilings change)"
    yield from _indented(table([head, *rows], width=_INSIDE))
    if len(report.bounded) > _PARTS:
        yield f"{_INDENT}… and {count(len(report.bounded) - _PARTS)} more; `--format json` has all of them"


def _course(report: Report) -> Iterator[str]:
    """Shares over time, where they change."""
    if len(report.course) == 1:
        return
    parts = report.mixture if len(report.mixture) <= _COLUMNS else _most_changing(report)
    named = [part.full_name for part in parts]
    head = ("what changes", "from", *(clipped(name, _COLUMN_WIDTH) for name in named))
    others = len(parts) < len(report.mixture)
    rows = []
    for span in report.course[:_SPANS]:
        held = [sum(span.shares[leaf.full_name] for leaf in components([part])) for part in parts]
        rest = (percent(max(0.0, 1 - sum(held))),) if others else ()
        phases = f" ({count(span.phases)} phases)" if span.phases > 1 else ""
        rows.append((phrases.what_changes(span) + phases, count(span.first), *map(percent, held), *rest))
    yield "Course"
    yield from _indented(table([(*head, *(("others",) if others else ())), *rows], width=_INSIDE))
    if len(report.course) > _SPANS:
        yield f"{_INDENT}… and {count(len(report.course) - _SPANS)} more; `--format json` has all of them"


_COLUMNS: Final = 6
_COLUMN_WIDTH: Final = 14
_SPANS: Final = 24


def _most_changing(report: Report) -> list[Part]:
    """The parts whose shares change most, in the order of the mixture."""

    def change(part: Part) -> float:
        held = [sum(span.shares[leaf.full_name] for leaf in components([part])) for span in report.course]
        return max(held) - min(held)

    chosen = sorted(report.mixture, key=change, reverse=True)[: _COLUMNS - 1]
    return [part for part in report.mixture if part in chosen]


def _events(report: Report) -> Iterator[str]:
    """Where components have given everything; the first is the first exhaustion."""
    if not report.events:
        return
    step = "" if report.batch is None else f"step of {count(report.batch)}"
    rows = [
        (listed(event.components, 2), phrases.event(event), count(event.position), _step(event))
        for event in report.events[:_EVENTS]
    ]
    lines = table([("component", "what happens", "at position", step), *rows], left=2, width=_INSIDE)
    yield "Exhaustion"
    yield from _indented(lines)
    if len(report.events) > _EVENTS:
        yield f"{_INDENT}… and {count(len(report.events) - _EVENTS)} more; `--format json` has all of them"


_EVENTS: Final = 12


def _step(event: Event) -> str:
    return "" if event.step is None else count(event.step)


def _end(report: Report) -> Iterator[str]:
    yield "End"
    yield from wrapped(phrases.end(report), _INDENT, _INDENT)
    if report.end.kind == "exhausted":
        yield from _unseen(report)


def _limit(report: Report) -> Iterator[str]:
    """What would move the end."""
    changes = report.limit.changes
    if not changes:
        return
    known = [(phrases.change(c), _known(c.positions), _known(c.unseen)) for c in changes]
    yield "What would move the end"
    yield from _indented(table([("change", "positions", "never seen"), *known], width=_INSIDE))


def _known(value: int | None) -> str:
    return "" if value is None else count(value)


def _unseen(report: Report) -> Iterator[str]:
    parts = sorted((p for p in components(report.mixture) if p.unseen), key=lambda p: -(p.unseen or 0))
    if parts:
        yield f"{_INDENT}Never seen: {count(report.end.unseen)} {report.unit}"
        rows = [(p.full_name, count(p.unseen or 0), percent((p.unseen or 0) / p.samples)) for p in parts[:_UNSEEN]]
        yield from _indented(
            _indented(table([("component", report.unit, "of its own"), *rows], width=_INSIDE - len(_INDENT)))
        )
        if len(parts) > _UNSEEN:
            yield f"{_INDENT * 2}… and {count(len(parts) - _UNSEEN)} components more"


_UNSEEN: Final = 8


def _overlap(report: Report) -> Iterator[str]:
    if not report.overlap:
        return
    pairs = sorted(report.overlap, key=lambda pair: -pair.samples)[:_UNSEEN]
    yield "Overlap (samples that match two components; the first takes them)"
    rows = [(clipped(p.first, _NAME_WIDTH), clipped(p.second, _NAME_WIDTH), count(p.samples)) for p in pairs]
    yield from _indented(table([("first", "second", "samples"), *rows], left=2))


def _reading(report: Report) -> Iterator[str]:
    reading, memory = report.reading, report.memory
    delivered = "records of one epoch" if report.plan.positions is None else "records delivered"
    rows = [
        ("files to read", f"{count(reading.files)}", f"{bytes_text(reading.bytes)} as stored"),
        (delivered, "", f"about {bytes_text(reading.delivered_bytes)} decoded"),
    ]
    if reading.groups:
        largest = f"the largest {bytes_text(reading.largest_group_bytes)} decoded"
        rows.append(("row groups and files read whole", count(reading.groups), largest))
    yield "Reading"
    yield from _indented(_label_lines(rows))
    yield from _reads(report)
    yield from _costs(report)
    yield (
        f"{_INDENT}memory: plan {bytes_text(memory.plan_bytes)} mapped; per reader "
        f"{bytes_text(memory.order_bytes)} for the order, up to {bytes_text(memory.flight_bytes)} for samples"
    )


def _label_lines(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    label, number = (max(len(row[c]) for row in rows) for c in (0, 1))
    return [f"{a.ljust(label)}  {b.rjust(number)}  {c}" for a, b, c in rows]


def _reads(report: Report) -> Iterator[str]:
    reading = report.reading
    if not reading.groups and reading.many is None:
        yield f"{_INDENT}every record is read alone: no more is read than delivered"
        return
    every = [reads for reads in (reading.one, reading.many, reading.suggested) if reads is not None]
    head = ("", "bytes read per byte delivered", "segments opened")
    yield from _indented(
        table([head, *((phrases.readers(r), multiple(r.amplification), multiple(r.visits)) for r in every)])
    )
    yield f"{_INDENT}(simulated over {count(reading.one.positions)} positions from the start; 1.00 × is best)"
    if any(round(reads.amplification, 2) < 1 for reads in every):
        yield f"{_INDENT}(below 1 where what is kept in memory is delivered more than once)"


def _costs(report: Report) -> Iterator[str]:
    """Requests and bytes by storage."""
    head = ("storage", "requests", "bytes read", "per byte delivered")
    rows = [
        (phrases.storage(c), count(c.requests), bytes_text(c.read_bytes), multiple(c.amplification))
        for c in report.cost
    ]
    if rows:
        whole = "one epoch" if report.plan.positions is None else "the whole run"
        several = "" if report.reading.many is None else f", {phrases.readers(report.reading.many)}"
        yield from _indented(table([head, *rows], width=_INSIDE))
        yield f"{_INDENT}(about, as stored, for {whole}{several})"


def _steered(report: Report) -> Iterator[str]:
    if report.steered is not None:
        yield "Weights that follow the training"
        for sentence in sentences(report.steered, report.unit):
            yield from wrapped(sentence, _INDENT, _INDENT)


def _order(report: Report) -> Iterator[str]:
    order = report.order
    yield "Order"
    yield from wrapped(phrases.shuffled(report), _INDENT, _INDENT)
    for what, names in (("sorted: ", order.curricula), ("in file order: ", order.in_file_order)):
        if names:
            yield from wrapped(listed(names, _PARTS), f"{_INDENT}{what}", _INDENT * 5)
    yield (
        f"{_INDENT}{count(order.lanes)} lanes × chunks of {count(order.chunk_size)} = rounds of "
        f"{count(order.round_samples)} {report.unit}, in granules of {count(order.granule)}"
    )


def _warnings(report: Report) -> Iterator[str]:
    if report.warnings:
        yield "Warnings"
    for number, warning in enumerate(report.warnings, 1):
        mark = f"{_INDENT}{number}. "
        rest = " " * len(mark)
        yield from wrapped(f"{warning.message}.", mark, rest)
        yield from wrapped(f"To change it: {warning.fix}.", rest, rest)


def _indented(lines: Sequence[str]) -> list[str]:
    return [_INDENT + line for line in lines]
