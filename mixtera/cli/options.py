"""Options that every subcommand has."""

from __future__ import annotations

import argparse
import os
from typing import Final

DEFAULT_CATALOG: Final = ".mixtera"


def add_common(parser: argparse.ArgumentParser, *, below: bool = False) -> None:
    """Add `--catalog`, `--quiet`, `--json` and `-v`.

    Args:
        parser: Parser of a command or of an action below it.
        below: It is an action's: what stands before the action counts where the option is not given after it.
    """
    group = parser.add_argument_group("options of every command")
    added = _add(group)
    for option in added if below else ():
        option.default = argparse.SUPPRESS


def add_no_lock(parser: argparse.ArgumentParser) -> None:
    """Add `--no-lock`, for commands that compile what they then run."""
    parser.add_argument(
        "--no-lock", action="store_true", help="compile a spec even if it does not compile to what SPEC.lock says"
    )


def _add(group: argparse._ArgumentGroup) -> list[argparse.Action]:
    return [
        group.add_argument(
            "--catalog",
            metavar="URL",
            default=os.environ.get("MIXTERA_CATALOG") or DEFAULT_CATALOG,
            help=f"the catalog (default: $MIXTERA_CATALOG, else {DEFAULT_CATALOG})",
        ),
        group.add_argument("--quiet", action="store_true", help="no progress and no notes on stderr"),
        group.add_argument("--json", action="store_true", help="machine output as JSON on stdout"),
        group.add_argument("-v", "--verbose", action="count", default=0, help="say more; also the causes of an error"),
    ]
