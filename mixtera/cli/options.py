"""Options that every subcommand has."""

from __future__ import annotations

import argparse
import os
from typing import Final

DEFAULT_CATALOG: Final = ".mixtera"


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add `--catalog`, `--quiet`, `--json` and `-v`."""
    group = parser.add_argument_group("options of every command")
    group.add_argument(
        "--catalog",
        metavar="URL",
        default=os.environ.get("MIXTERA_CATALOG") or DEFAULT_CATALOG,
        help=f"the catalog (default: $MIXTERA_CATALOG, else {DEFAULT_CATALOG})",
    )
    group.add_argument("--quiet", action="store_true", help="no progress and no notes on stderr")
    group.add_argument("--json", action="store_true", help="machine output as JSON on stdout")
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more; also the causes of an error")
