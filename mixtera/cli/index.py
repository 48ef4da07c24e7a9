"""`mixtera index`: brings the catalog up to date with the files of a spec."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from mixtera.cli.aligned import aligned
from mixtera.cli.output import note, write, write_json

if TYPE_CHECKING:
    from mixtera.catalog import IndexReport

NAME: Final = "index"
HELP: Final = "bring the catalog up to date with the files of a spec"

_HEADER: Final = ("source", "new", "changed", "gone", "unchanged", "files", "samples", "skipped", "quarantined")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("spec", metavar="SPEC", help="a spec file")
    parser.add_argument(
        "--workers", type=_positive, metavar="N", help="processes that read (default: what the work is worth)"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Index the sources of the spec."""
    from mixtera.catalog import Catalog
    from mixtera.spec import load

    spec = load(arguments.spec)
    catalog = Catalog.open(arguments.catalog)
    report = catalog.index(spec, workers=arguments.workers, progress=not arguments.quiet)
    if arguments.json:
        write_json(_json(report))
        return 0
    write(_text(report))
    note(arguments, f"catalog {catalog.url}")
    return 0


def _json(report: IndexReport) -> dict[str, object]:
    sources = [{**asdict(source), "snapshot_id": str(source.snapshot_id)} for source in report.sources]
    return {**asdict(report), "sources": sources}  # a snapshot id has more digits than a JSON number keeps


def _text(report: IndexReport) -> str:
    rows = [tuple(getattr(source, name) for name in _HEADER) for source in report.sources]
    read = sum(source.bytes for source in report.sources)
    done = f"{report.indexed_files:,} files read ({read / 1e6:,.1f} MB), {report.samples:,} samples in the catalog"
    added = [
        f"{source.source}: {', '.join(source.columns)} added for {source.unchanged:,} files that were there\n"
        for source in report.sources
        if source.columns
    ]
    added += [
        f"{source.source}: {table.unmatched:,} of {table.samples:,} samples are not in the sidecar {table.sidecar}\n"
        for source in report.sources
        for table in source.unmatched
    ]
    return f"{aligned(_HEADER, rows)}\n{''.join(added)}{done}, {report.seconds:.2f} s"
