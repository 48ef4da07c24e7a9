"""`mixtera ledger`: which documents a step saw, and when a document is seen; computed from the plan."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from mixtera.cli.output import write, write_json
from mixtera.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

    from mixtera.plan import Plan

NAME: Final = "ledger"
HELP: Final = "tell which documents a step saw, and when a document is seen"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("plan", metavar="PLAN", help="directory of a plan")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--step", type=int, metavar="N", help="the documents of step N, from 0")
    asked.add_argument(
        "--sample", metavar="SOURCE/FILE#ROW", help="when a sample is delivered (steps too with --batch)"
    )
    parser.add_argument("--batch", type=int, metavar="B", help="samples of a step over all ranks")
    parser.add_argument("--until", type=int, metavar="P", help="look for a sample before position P only")


def run(arguments: argparse.Namespace) -> int:
    """Print the documents of a step, or the positions of a document."""
    from mixtera.plan import Plan

    plan = Plan.open(arguments.plan)
    if arguments.batch is not None and arguments.batch < 1:
        raise PlanError(f"--batch is {arguments.batch}; it must be at least 1")
    if arguments.step is None:
        return _print_deliveries(plan, arguments)
    if arguments.batch is None:
        raise PlanError("--step needs --batch: how many samples one step takes over all ranks")
    if arguments.step < 0:
        raise PlanError(f"--step is {arguments.step}; steps are counted from 0")
    start = arguments.step * arguments.batch
    end = plan.end
    if end is not None and start >= end:
        raise PlanError(f"step {arguments.step} is behind the end: the plan has {end // arguments.batch} whole steps")
    _print_documents(plan.samples(start, start + arguments.batch), start, arguments.json)
    return 0


def _print_documents(documents: pa.Table, start: int, as_json: bool) -> None:
    rows = [{"position": start + number, **row} for number, row in enumerate(documents.to_pylist())]
    if as_json:
        write_json(rows)
    else:
        for row in rows:
            write(f"{row['position']:,}  {row['component']}  {row['source']}/{row['file']}#{row['row']}")


def _print_deliveries(plan: Plan, arguments: argparse.Namespace) -> int:
    source, file, row = _parts(arguments.sample)
    positions = plan.locate(plan.sample_id(source, file, row), stop=arguments.until)
    found = [{"position": p} | ({"step": p // arguments.batch} if arguments.batch else {}) for p in positions]
    if arguments.json:
        write_json(found)
    elif not found:
        write(f"{arguments.sample} is never delivered{' before that position' if arguments.until else ''}")
    else:
        for one in found:
            write("  ".join(f"{name} {value:,}" for name, value in one.items()))
    return 0


def _parts(sample: str) -> tuple[str, str, int]:
    source, slash, rest = sample.partition("/")
    file, mark, row = rest.rpartition("#")
    if not (slash and mark and row.isascii() and row.isdigit()):
        raise PlanError(f"--sample {sample!r} is not SOURCE/FILE#ROW, such as web/part-0.jsonl#12 (rows from 0)")
    return source, file, int(row)
