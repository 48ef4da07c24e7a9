"""Samples on stdout: a line of text, a JSON object, or an Arrow stream."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from mixtera.cli.aligned import one_line
from mixtera.cli.output import write
from mixtera.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

    from mixtera.plan import Plan

Printer: TypeAlias = "Callable[[Plan, int, int | None], None]"

_BATCH: Final = 32
_FEW: Final = 10_000
_FEW_ITEMS: Final = 32
_SMALL_BUDGET_BYTES: Final = 1 << 20
"""For few samples, little is read ahead."""
_WIDTH: Final = 120
NAME_WIDTH: Final = 32


def batches(
    plan: Plan, start: int, stop: int | None, columns: Sequence[str] | None = None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """First position and samples of batches of any size that make up the positions [start, stop) exactly.

    Args:
        plan: The plan.
        start: First position.
        stop: Position after the last, not behind the plan's end; None for a plan without end.
        columns: Content columns to read; all by default.
    """
    from mixtera.stream.stream import BUDGET_BYTES, Stream

    budget = BUDGET_BYTES if stop is None or stop - start > _FEW else _SMALL_BUDGET_BYTES
    position = start
    while stop is None or position < stop:
        size = _size(plan, position, stop)
        with Stream(
            plan.data, plan.digest, batch_size=size, start=position, columns=columns, budget_bytes=budget
        ) as stream:
            for batch in stream:
                yield position, batch
                position += size
                if _size(plan, position, stop) != size:
                    break


def _size(plan: Plan, position: int, stop: int | None) -> int:
    """How many positions are read together, so that all of them deliver the same."""
    most = _BATCH if stop is None else min(_BATCH, stop - position)
    blocks = plan.data.blocks
    if blocks is None or most < 1:
        return most
    within = math.gcd(blocks.size, position - plan.start)
    return next(size for size in range(most, 0, -1) if within % size == 0)


def print_text(plan: Plan, start: int, stop: int | None) -> None:
    """One line per sample: position, component, where it lies, how it begins."""
    if plan.data.tokens is not None:
        from mixtera.cli.rows import print_rows

        print_rows(plan, start, stop)
        return
    width = shutil.get_terminal_size((_WIDTH, 0)).columns if sys.stdout.isatty() else _WIDTH
    names = [clipped(component.name, NAME_WIDTH) for component in plan.data.components]
    component_width = max(map(len, names))
    position_width = len(f"{stop or 0:,}")
    shown = plan.data.sources[0].content[0][0]
    for first, batch in batches(plan, start, stop, [shown]):
        print_samples(plan, first, batch, shown, (position_width, component_width, width))


def print_samples(plan: Plan, first: int, batch: pa.RecordBatch, shown: str, widths: tuple[int, int, int]) -> None:
    """One line per sample of a batch.

    Args:
        plan: The plan.
        first: Position of the batch's first sample.
        batch: The samples.
        shown: The content column that is shown.
        widths: Characters of positions, of names of components, and of a whole line.
    """
    position_width, component_width, width = widths
    if batch.num_rows:
        table = plan.samples(first, first + batch.num_rows)
        columns = (table.column(name).to_pylist() for name in ("component", "source", "file", "row"))
        heads = [
            f"{first + number:>{position_width},}  {clipped(component, NAME_WIDTH):<{component_width}}  "
            f"{source}/{one_line(file)}#{row}  "
            for number, (component, source, file, row) in enumerate(zip(*columns, strict=True))
        ]
        contents = batch.column(shown).to_pylist()
        for head, content in zip(heads, contents, strict=True):
            write(head + clipped(excerpt(content), max(20, width - len(head))))


def print_jsonl(plan: Plan, start: int, stop: int | None) -> None:
    """One JSON object per sample: the content columns, `component`, `sample`, `position`."""
    import msgspec

    encode = msgspec.json.Encoder().encode
    for first, batch in batches(plan, start, stop):
        for number, row in enumerate(batch.to_pylist()):
            write(encode({**row, "position": first + number}).decode())


def print_arrow(plan: Plan, start: int, stop: int | None) -> None:
    """One Arrow IPC stream: the content columns, `component`, `sample`, `position`.

    Raises:
        PlanError: Components deliver different things.
    """
    import pyarrow as pa

    if plan.data.blocks is not None:
        from mixtera.stream.groups import described

        raise PlanError(
            f"an Arrow stream has one schema, and the components of plan {plan.name!r} deliver {described(plan.data)}: "
            "--format jsonl shows all of it"
        )
    _, sample = next(batches(plan, plan.start, plan.start + 1))
    with pa.ipc.new_stream(sys.stdout.buffer, _with_position(0, sample).schema) as writer:
        for first, batch in batches(plan, start, stop):
            writer.write_batch(_with_position(first, batch))


PRINTERS: Final[Mapping[str, Printer]] = {"text": print_text, "jsonl": print_jsonl, "arrow": print_arrow}


def _with_position(first: int, batch: pa.RecordBatch) -> pa.RecordBatch:
    import numpy as np
    import pyarrow as pa

    return batch.append_column("position", pa.array(np.arange(first, first + batch.num_rows)))


def excerpt(content: object) -> str:
    """The beginning of a value on one line, without control characters."""
    if isinstance(content, bytes):
        return f"<{len(content):,} bytes>"
    if isinstance(content, list):  # tokens, of which there may be many
        shown = ", ".join(map(str, content[:_FEW_ITEMS]))
        return f"<{len(content):,} items> {shown}{', …' if len(content) > _FEW_ITEMS else ''}"
    text = " ".join(str(content)[: _WIDTH * 4].split())
    return "".join(character if character.isprintable() else "·" for character in text)


def clipped(text: str, width: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= width else text[: width - 1] + "…"
