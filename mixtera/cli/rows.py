"""Rows of tokens on stdout: the documents of each, and its tokens as text or as ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from mixtera.cli.aligned import one_line
from mixtera.cli.output import write
from mixtera.cli.samples import NAME_WIDTH, batches, clipped, excerpt, print_samples

if TYPE_CHECKING:
    from mixtera.plan import Plan

BOUNDARY: Final = "¦"
"""Stands between documents of a row."""
_WIDTH: Final = 160
_DOCUMENTS: Final = 2
"""Documents of a row that its line names."""

Show = "Callable[[Sequence[int]], str]"


def print_rows(plan: Plan, start: int, stop: int | None, *, as_ids: bool = False, whole: bool = False) -> None:
    """One line per row: position, component, documents, and how the text begins; boundaries are marked with `¦`.

    Args:
        plan: A plan of tokens.
        start: First position.
        stop: Position after the last; None for a plan without end.
        as_ids: Ids instead of text.
        whole: All of the row, on lines of its own.
    """
    show = _ids if as_ids or all(plan.data.columns) else _decoder(plan)
    for position, component, documents, parts in _rows(plan, start, stop):
        named = " + ".join(documents[:_DOCUMENTS]) + (f" + {len(documents) - _DOCUMENTS} more" * (len(documents) > 2))
        head = f"{position:,}  {clipped(component, NAME_WIDTH)}  {named}"
        text = BOUNDARY.join(show(part) for part in parts)
        if whole:
            write(f"{head}\n{text}\n")
        else:
            write(f"{head}  {clipped(excerpt(text), max(40, _WIDTH - len(head)))}")


def decoded(plan: Plan) -> Callable[[Sequence[Sequence[int]]], list[str]]:
    """What turns the parts of a row into their texts."""
    show = _decoder(plan)
    return lambda parts: [show(part) for part in parts]


def parts_of(row: dict[str, list[int]]) -> list[list[int]]:
    """The tokens of a row, one list per document, without padding."""
    tokens, starts = row["tokens"], row["document_starts"]
    length = row.get("length", len(tokens))
    assert isinstance(length, int)
    ends = [*starts[1:], length]
    return [tokens[first:last] for first, last in zip(starts, ends, strict=True)]


def _rows(plan: Plan, start: int, stop: int | None) -> Iterator[tuple[int, str, list[str], list[list[int]]]]:
    for first, batch in batches(plan, start, stop):
        if "tokens" not in batch.schema.names:
            print_samples(plan, first, batch, batch.schema.names[0], (1, 1, _WIDTH))
            continue
        names: dict[int, list[str]] = {}
        for number, where in enumerate(plan.samples(first, first + batch.num_rows).to_pylist()):
            part = f"{where['source']}/{one_line(where['file'])}#{where['row']}"
            if where.get("last_token"):
                part += f"[{where['first_token']}:{where['last_token']}]"
            names.setdefault(where.get("position", first + number), []).append(part)
        for number, row in enumerate(batch.to_pylist()):
            yield first + number, row["component"], names[first + number], parts_of(row)


def _decoder(plan: Plan) -> Callable[[Sequence[int]], str]:
    from mixtera.tokens.opened import opened

    assert plan.data.tokens is not None
    return opened(plan.data.tokens.parameters).decode


def _ids(tokens: Sequence[int]) -> str:
    return " ".join(map(str, tokens))
