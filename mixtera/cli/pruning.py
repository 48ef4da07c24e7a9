"""`mixtera catalog prune`: deletes what no kept state of a catalog needs."""

from __future__ import annotations

import argparse
import datetime
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from mixtera.cli.numbers import whole_number
from mixtera.cli.output import write, write_json

if TYPE_CHECKING:
    from mixtera.catalog import Catalog

HELP: Final = "delete old states, and what was written and never committed"
_LENGTH: Final = re.compile(r"(\d+)([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST: Final = datetime.timedelta(weeks=5200)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the action's own arguments."""
    parser.add_argument(
        "--older-than",
        type=length,
        default=datetime.timedelta(days=7),
        metavar="TIME",
        help="keep what is younger, such as 12h, 7d or 4w; at least 1h, and more than any `index` takes (default: 7d)",
    )
    parser.add_argument(
        "--keep",
        type=whole_number(1),
        default=10,
        metavar="N",
        help="states of each source, and commits at a URL, that are kept at least (default: 10)",
    )
    parser.add_argument("--dry-run", action="store_true", help="delete nothing, and tell what would be")


def length(text: str) -> datetime.timedelta:
    """A length of time, as `7d`."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time, such as 12h, 7d or 4w")
    value, unit = int(found[1]), _UNITS[found[2]]
    if value > _LONGEST.total_seconds():
        return _LONGEST
    return min(_LONGEST, datetime.timedelta(**{unit: value}))


def prune(catalog: Catalog, arguments: argparse.Namespace) -> None:
    """Prune a catalog."""
    found = catalog.prune(keep=arguments.keep, older_than=arguments.older_than, dry_run=arguments.dry_run)
    if arguments.json:
        write_json({**asdict(found), "dry_run": arguments.dry_run})
        return
    done = "would be deleted" if arguments.dry_run else "deleted"
    commits = f", {found.commits:,} commits" if catalog.url != str(catalog.path) else ""
    write(
        f"{done}: {found.states:,} old states, {found.files:,} files ({found.bytes / 1e6:,.1f} MB){commits}, "
        f"{found.labels:,} labels"
    )
