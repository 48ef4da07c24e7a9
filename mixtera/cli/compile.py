"""`mixtera compile`: writes the plan of a spec."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Final

from mixtera.cli.continuing import stop_of
from mixtera.cli.given import Options, compiled
from mixtera.cli.options import add_engine, add_no_lock, size
from mixtera.cli.output import note, write, write_json
from mixtera.spec.keys import HOLDOUT_PARTS

if TYPE_CHECKING:
    from mixtera.plan import Plan

NAME: Final = "compile"
HELP: Final = "write the plan of a spec and print its digest"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("spec", metavar="SPEC", help="a spec, whose sources are indexed")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="PLAN",
        help="directory of the plan, or the URL of one; an older plan there is replaced",
    )
    add_engine(parser, "that compiles")
    parser.add_argument(
        "--part", choices=HOLDOUT_PARTS, help="which side of the spec's holdout is meant (default: as the spec says)"
    )
    parser.add_argument(
        "--continue-from",
        metavar="STATE",
        help="take over from a run in its middle: a JSON file with a loader's state, or PLAN@POSITION",
    )
    parser.add_argument(
        "--continued", metavar="PLAN", help="the plan of that state (default: looked for at the output and beside it)"
    )
    parser.add_argument(
        "--max-memory",
        type=size,
        metavar="SIZE",
        help="memory that the compilation and its engine may take, such as 1GiB; what cannot fit is refused",
    )
    parser.add_argument(
        "--no-reuse",
        action="store_true",
        help="ask the engine about every sample, also where labels of an earlier compilation are kept in the catalog",
    )
    add_no_lock(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compile, write, and print the digest."""
    begin = time.perf_counter()
    stop = stop_of(arguments.continue_from, arguments.continued, arguments.output)
    options = Options(arguments.part, stop, not arguments.no_lock, not arguments.no_reuse, arguments.max_memory)
    plan = compiled(arguments.spec, arguments.catalog, arguments.engine, options).plan
    size_bytes = plan.save(arguments.output)
    seconds = time.perf_counter() - begin
    data = plan.data
    if arguments.json:
        write_json(
            {
                "digest": plan.digest,
                "plan": arguments.output,
                "start": plan.start,
                "positions": data.timeline.total,
                "samples": len(data.rows),
                "components": len(data.components),
                "bytes": size_bytes,
                "seconds": round(seconds, 3),
            }
        )
        return 0
    write(plan.digest)
    length = "without end" if data.timeline.total is None else f"{data.timeline.total:,} positions"
    if stop is not None:
        _note_continuation(arguments, plan)
    note(
        arguments,
        f"{arguments.output}: {length}, {len(data.components):,} components, {len(data.rows):,} samples, "
        f"{size_bytes:,} bytes, in {seconds:.1f} s",
    )
    return 0


def _note_continuation(arguments: argparse.Namespace, plan: Plan) -> None:
    """What becomes of the components, on stderr."""
    found = plan.data.facts["continues"]
    note(arguments, f"takes over at position {plan.start:,}:")
    samples = "documents" if plan.data.packs else "samples"
    for one in found["components"]:
        what = one["fate"] if one["fate"] == "goes on" else f"{one['fate']}, without what was delivered"
        note(arguments, f"  {one['name']}: {what} ({one['delivered']:,} {samples} of this epoch so far)")
    if found["gone"]:
        note(arguments, f"  no more: {', '.join(found['gone'])}")
