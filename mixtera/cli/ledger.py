"""`mixtera ledger`: which documents a step saw, and when a document is seen; computed from the plan."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from mixtera.cli.aligned import one_line
from mixtera.cli.given import opened
from mixtera.cli.output import note, write, write_json
from mixtera.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

    from mixtera.plan import Plan

NAME: Final = "ledger"
HELP: Final = "tell which documents a step saw, and when a document is seen"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("plan", metavar="PLAN", help="directory of a plan, or of a job")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--step", type=int, metavar="N", help="the documents of step N, from 0")
    asked.add_argument(
        "--sample", metavar="SOURCE/FILE#ROW", help="when a sample is delivered (steps too with --batch)"
    )
    parser.add_argument("--batch", type=int, metavar="B", help="samples of a step over all ranks")
    parser.add_argument("--until", type=int, metavar="P", help="look for a sample before position P only")


def run(arguments: argparse.Namespace) -> int:
    """Print the documents of a step, or the positions of a document."""
    plan = opened(arguments.plan)
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
    rows = [{"position": start + number} | row for number, row in enumerate(documents.to_pylist())]
    if as_json:
        write_json(rows)
    else:
        for row in rows:
            part = f"  tokens {row['first_token']:,} … {row['last_token']:,}" if row.get("last_token") else ""
            write(
                f"{row['position']:,}  {row['component']}  {row['source']}/{one_line(row['file'])}#{row['row']}{part}"
            )


def _print_deliveries(plan: Plan, arguments: argparse.Namespace) -> int:
    source, file, row = _parts(arguments.sample)
    if plan.end is None and arguments.until is None:
        raise PlanError(f"plan {plan.name!r} has no end: --until P says how far to look for a sample")
    if arguments.until is not None and arguments.until < 0:
        raise PlanError(f"--until is {arguments.until}; positions are counted from 0")
    sample = plan.sample_id(source, file, row)
    positions = plan.locate(sample, stop=arguments.until)
    found = [{"position": p} | ({"step": p // arguments.batch} if arguments.batch else {}) for p in positions]
    if arguments.json:
        write_json(found)
    for one in () if arguments.json else found:
        write("  ".join(f"{name} {value:,}" for name, value in one.items()))
    if not found:
        why = _why_not(plan, sample, arguments)
        note(arguments, why) if arguments.json else write(why)
    elif plan.data.begins is not None:
        begins = plan.data.begins
        note(arguments, f"before position {begins.position:,}: ask plan {begins.name!r} ({begins.plan})")
    return 0


def _why_not(plan: Plan, sample: int, arguments: argparse.Namespace) -> str:
    from mixtera.explanation.absence import absence, may_come

    until = arguments.until
    if until is not None:
        early = f"{arguments.sample} is not delivered before position {until:,}"
        if plan.end is not None and (later := plan.locate(sample)):
            return f"{early}; the first time is at position {later[0]:,}"
        if plan.end is None and may_come(plan, sample):
            return early  # an end cannot be looked for where there is none
    return f"{arguments.sample} is never delivered: {absence(plan, sample)}"


def _parts(sample: str) -> tuple[str, str, int]:
    source, slash, rest = sample.partition("/")
    file, mark, row = rest.rpartition("#")
    if not (slash and mark and row.isascii() and row.isdigit()):
        raise PlanError(f"--sample {sample!r} is not SOURCE/FILE#ROW, such as web/part-0.jsonl#12 (rows from 0)")
    return source, file, int(row)
