"""`mixtera diff`: what changes from one spec, plan or lock to another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mixtera.cli.given import Options, compiled, plan_directory
from mixtera.cli.numbers import whole_number
from mixtera.cli.options import add_engine
from mixtera.cli.output import write, write_json

if TYPE_CHECKING:
    from mixtera.comparison import Side

NAME: Final = "diff"
HELP: Final = "tell what changes from one spec, plan or lock to another"
_DIFFERENT: Final = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    what = "a spec, whose sources are indexed, a plan's directory, or a lock"
    parser.add_argument("before", metavar="A", help=what)
    parser.add_argument("after", metavar="B", help="another of these")
    parser.add_argument(
        "--batch", type=whole_number(1), metavar="B", help="samples of a step over all ranks: tell steps"
    )
    parser.add_argument(
        "--until",
        type=whole_number(0),
        metavar="P",
        help="compare the orders before position P (default: 67,108,864 positions)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="for people or for programs")
    parser.add_argument(
        "--exit-code", action="store_true", help="exit 1 if a run would see other samples, files or another order"
    )
    add_engine(parser, "that compiles specs")


def run(arguments: argparse.Namespace) -> int:
    """Compare; nothing is read but the catalog, plans and locks."""
    from mixtera.comparison import compare

    before, after = (_side(path, arguments) for path in (arguments.before, arguments.after))
    found = compare(before, after, batch=arguments.batch, until=arguments.until)
    if arguments.json or arguments.format == "json":
        write_json(found.to_json())
    else:
        write(str(found))
    return _DIFFERENT if arguments.exit_code and not found.report.same else 0


def _side(path: str, arguments: argparse.Namespace) -> Side:
    from mixtera.comparison import side_of_lock, side_of_plan
    from mixtera.lockfile import Lock
    from mixtera.plan import Plan

    directory = plan_directory(path)
    if directory is not None:
        return side_of_plan(path, Plan.open(directory))
    if _is_lock(path):
        return side_of_lock(path, Lock.open(path))
    found = compiled(path, arguments.catalog, arguments.engine, Options(locked=False))
    return side_of_plan(path, found.plan, found.spec.lines)


def _is_lock(path: str) -> bool:
    """Whether a path names a lock: by its suffix, or by what the file begins with."""
    from mixtera.lockfile.text import HEAD_BYTES, is_lock

    if path.endswith(".lock"):
        return True
    given = Path(path)
    if not given.is_file():
        return False
    with given.open("rb") as file:
        return is_lock(file.read(HEAD_BYTES))
