"""`mixtera stream`: prints samples in their order, or how they are shared among the components."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from mixtera.cli.given import plan_of
from mixtera.cli.numbers import whole_number
from mixtera.cli.options import add_engine, add_no_lock, add_spool, use_spool
from mixtera.cli.output import complain, note, write, write_json
from mixtera.errors import PlanError

if TYPE_CHECKING:
    from mixtera.plan import Plan

NAME: Final = "stream"
HELP: Final = "print samples of a spec or a plan, in their order"
_USAGE: Final = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument(
        "given", metavar="SPEC|PLAN|JOB", help="a spec, whose sources are indexed, or the directory of a plan or a job"
    )
    parser.add_argument("--start", type=whole_number(0), metavar="P", help="first position (default: the plan's)")
    parser.add_argument(
        "--limit", type=whole_number(0), metavar="N", help="samples at most (default: to the end of the plan)"
    )
    parser.add_argument(
        "--format",
        choices=("text", "jsonl", "arrow"),
        default="text",
        help="a line per sample for people, a JSON object per sample, or one Arrow IPC stream",
    )
    parser.add_argument(
        "--stats",
        action="store_true",
        help="instead of samples, asked and realised shares (of tokens, where samples are packed); reads no sample",
    )
    parser.add_argument("--tokens", action="store_true", help="of a plan of tokens: whole rows, as ids")
    parser.add_argument(
        "--decode", action="store_true", help="of a plan of tokens: whole rows, as text with ¦ between documents"
    )
    parser.add_argument(
        "--remap",
        action="append",
        type=_prefixes,
        metavar="FROM=TO",
        help="files of the plan below FROM lie below TO on this machine; may be given several times",
    )
    add_engine(parser, "that compiles a spec")
    add_spool(parser)
    add_no_lock(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what is asked of the positions [start, start + limit)."""
    import sys

    form = "jsonl" if arguments.json and arguments.format == "text" else arguments.format
    if form == "arrow" and not arguments.stats and sys.stdout.isatty():
        complain("mixtera stream: --format arrow is binary; send it to a file or a program")
        return _USAGE
    use_spool(arguments)
    remap = dict(arguments.remap or ())
    plan = plan_of(arguments.given, arguments.catalog, arguments.engine, remap, not arguments.no_lock)
    start = plan.start if arguments.start is None else arguments.start
    stop = _stop(plan, start, arguments.limit)
    if stop is not None and start >= stop and arguments.limit != 0:
        note(arguments, f"nothing at position {start:,}: the plan ends at {stop:,}")
    if (arguments.tokens or arguments.decode) and plan.data.tokens is None:
        raise PlanError(f"plan {plan.name!r} delivers samples, not tokens: --tokens and --decode need `tokens:`")
    if arguments.stats:
        _write_stats(arguments, plan, start, stop)
    elif form == "text" and (arguments.tokens or arguments.decode):
        from mixtera.cli.rows import print_rows

        print_rows(plan, start, stop, as_ids=not arguments.decode, whole=True)
    else:
        from mixtera.cli.samples import PRINTERS

        PRINTERS[form](plan, start, stop)
    return 0


def _stop(plan: Plan, start: int, limit: int | None) -> int | None:
    """The position after the last that is asked for; None for a plan without end and no limit."""
    if limit is None:
        return plan.end
    return start + limit if plan.end is None else min(start + limit, plan.end)


def _write_stats(arguments: argparse.Namespace, plan: Plan, start: int, stop: int | None) -> None:
    if stop is None:
        raise PlanError(f"plan {plan.name!r} has no end: --stats needs --limit N")
    from mixtera.cli.shares import as_json, as_text, shares

    found = shares(plan, start, max(start, stop))
    if arguments.json or arguments.format == "jsonl":
        write_json(as_json(found))
    else:
        write(as_text(found, plan.data.unit))


def _prefixes(text: str) -> tuple[str, str]:
    source, equals, target = text.partition("=")
    if not (source and equals and target):
        raise argparse.ArgumentTypeError(f"{text!r} is not FROM=TO")
    return source, target
