"""`mixtera demo`: the whole way on a real corpus made from files of this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from mixtera.cli.output import write_json

NAME: Final = "demo"
HELP: Final = "the whole way on a real corpus made from files of this machine"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path(".mixtera-demo"),
        metavar="DIRECTORY",
        help="where the corpus, its catalog, the specs and the plan go (default: .mixtera-demo)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run it; the tables go to stdout, with --json one JSON object instead."""
    from rich.console import Console

    from mixtera.demo.run import run_demo

    outcome = run_demo(arguments.dir, Console(quiet=arguments.json or arguments.quiet))
    if arguments.json:
        write_json(outcome.to_json())
    return 0
