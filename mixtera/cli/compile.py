"""`mixtera compile`: writes the plan of a spec."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Final

from mixtera.cli.given import compiled
from mixtera.cli.options import add_no_lock
from mixtera.cli.output import note, write, write_json

NAME: Final = "compile"
HELP: Final = "write the plan of a spec and print its digest"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("spec", metavar="SPEC", help="a spec, whose sources are indexed")
    parser.add_argument(
        "-o", "--output", required=True, metavar="PLAN", help="directory of the plan; an older plan there is replaced"
    )
    parser.add_argument("--engine", default="duckdb", metavar="E", help="engine that compiles (default: duckdb)")
    add_no_lock(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compile, write, and print the digest."""
    begin = time.perf_counter()
    plan = compiled(arguments.spec, arguments.catalog, arguments.engine, not arguments.no_lock).plan
    plan.save(arguments.output)
    seconds = time.perf_counter() - begin
    data = plan.data
    size = sum(file.stat().st_size for file in Path(arguments.output).iterdir())
    if arguments.json:
        write_json(
            {
                "digest": plan.digest,
                "plan": arguments.output,
                "positions": data.timeline.total,
                "samples": len(data.rows),
                "components": len(data.components),
                "bytes": size,
                "seconds": round(seconds, 3),
            }
        )
        return 0
    write(plan.digest)
    length = "without end" if data.timeline.total is None else f"{data.timeline.total:,} positions"
    note(
        arguments,
        f"{arguments.output}: {length}, {len(data.components):,} components, {len(data.rows):,} samples, "
        f"{size:,} bytes, in {seconds:.1f} s",
    )
    return 0
