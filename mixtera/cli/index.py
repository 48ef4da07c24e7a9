"""`mixtera index`: brings the catalog up to date with the files of a spec."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from mixtera.cli.aligned import aligned
from mixtera.cli.output import complain, note, write, write_json

if TYPE_CHECKING:
    from mixtera.catalog import Catalog, IndexReport, SourceReport
    from mixtera.spec import Spec

NAME: Final = "index"
HELP: Final = "bring the catalog up to date with the files of a spec"

_DIFFERS: Final = 1
_USAGE: Final = 2
_HEADER: Final = ("source", "new", "changed", "gone", "unchanged", "files", "samples", "skipped", "quarantined")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("spec", metavar="SPEC", help="a spec file")
    parser.add_argument(
        "--workers", type=_positive, metavar="N", help="processes that read (default: what the work is worth)"
    )
    parser.add_argument(
        "--executor",
        metavar="X",
        help="where files are read: local, in processes of this machine, or spark (default: local)",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="change nothing: read every file again, and exit 1 if one is not as it was indexed",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Index the sources of the spec."""
    from mixtera.catalog import Catalog
    from mixtera.spec import load

    if arguments.verify and arguments.executor:
        complain("mixtera index: --executor goes without --verify, which reads in processes of this machine")
        return _USAGE
    spec = load(arguments.spec)
    if arguments.verify:
        return _verify(Catalog.open(arguments.catalog, create=False), spec, arguments)
    catalog = Catalog.open(arguments.catalog)
    executor = arguments.executor or "local"
    report = catalog.index(spec, workers=arguments.workers, progress=not arguments.quiet, executor=executor)
    if arguments.json:
        write_json(_json(report))
        return 0
    write(_text(report))
    for source in report.sources:
        if source.skipped or source.quarantined:
            note(arguments, _left_out(source))
    note(arguments, f"catalog {catalog.url}")
    return 0


def _verify(catalog: Catalog, spec: Spec, arguments: argparse.Namespace) -> int:
    found = catalog.verify(spec, workers=arguments.workers, progress=not arguments.quiet)
    differing = sum(len(source.differences) for source in found)
    if arguments.json:
        write_json({"as_indexed": not differing, "sources": [asdict(source) for source in found]})
        return _DIFFERS if differing else 0
    for source in found:
        write(f"{source.source}: {source.files:,} files read again, {source.samples:,} samples in the catalog")
        for one in source.differences:
            row = "" if one.row is None else f", row {one.row}"
            write(f"  {one.file}{row}: {one.what}")
    if not differing:
        note(arguments, "all is as it was indexed")
        return 0
    complain(
        f"{differing:,} file{' is' if differing == 1 else 's are'} not as indexed. `mixtera index {arguments.spec}` "
        "takes in those that are new, changed or gone. One that differs under the same size and time was damaged or "
        "written over: restore it, or touch it and index it again"
    )
    return _DIFFERS


def _left_out(source: SourceReport) -> str:
    """How many records of a source were left out, and what shows them."""
    count = source.skipped + source.quarantined
    what = f"{source.source}: {count:,} record{'' if count == 1 else 's'} cannot be used and {_were(count)} left out"
    if source.quarantined:
        return f"{what}: `mixtera catalog show {source.source} --quarantine` says which, and why"
    return f"{what}; with `on_bad_sample: quarantine` the catalog says which, and why"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


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
