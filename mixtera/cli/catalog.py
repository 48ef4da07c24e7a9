"""`mixtera catalog`: looks into the catalog."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from mixtera.cli import pruning
from mixtera.cli.aligned import aligned
from mixtera.cli.options import add_common, add_engine
from mixtera.cli.output import note, write, write_json

if TYPE_CHECKING:
    from mixtera.catalog import Catalog
    from mixtera.catalog.model import TableDefinition

NAME: Final = "catalog"
HELP: Final = "look into the catalog"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their arguments."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _action(actions, "ls", "list the sources", _ls)
    show = _source_action(actions, "show", "show how a source was indexed, and its files", _show)
    show.add_argument("--quarantine", action="store_true", help="the records that were left out, and why")
    show.add_argument("--snapshots", action="store_true", help="every committed state of the source")
    stats = _source_action(actions, "stats", "count and rank the values of properties", _stats)
    stats.add_argument("--property", metavar="NAME", help="only this property")
    query = _source_action(actions, "query", "find samples by a predicate", _query)
    query.add_argument("predicate", metavar="PREDICATE", help="""for example 'language == "en" and year >= 2015'""")
    query.add_argument("--limit", type=int, default=10, metavar="N", help="samples to print (default: 10)")
    add_engine(query, "that runs it")
    pruning.configure(_action(actions, "prune", pruning.HELP, pruning.prune))
    _source_action(actions, "drop", "forget a source; its files stay as they are", _drop)


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    from mixtera.catalog import Catalog

    action: Callable[[Catalog, argparse.Namespace], None] = arguments.action
    action(Catalog.open(arguments.catalog, create=False), arguments)
    return 0


_Actions = Any  # argparse does not export the type of its sub-parsers
_Action = Callable[["Catalog", argparse.Namespace], None]


def _action(actions: _Actions, name: str, help_: str, action: _Action) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_, description=help_, allow_abbrev=False)
    parser.set_defaults(action=action)
    add_common(parser, below=True)
    return parser


def _source_action(actions: _Actions, name: str, help_: str, action: _Action) -> argparse.ArgumentParser:
    parser = _action(actions, name, help_, action)
    parser.add_argument("source", metavar="SOURCE", help="name of a source in the catalog")
    return parser


def _ls(catalog: Catalog, arguments: argparse.Namespace) -> None:
    rows = [_summary(catalog, name) for name in catalog.sources()]
    if arguments.json:
        write_json(rows)
    elif rows:
        write(aligned(tuple(rows[0]), [tuple(row.values()) for row in rows]))
    else:
        note(arguments, f"the catalog {catalog.url} is empty: run `mixtera index SPEC`")


def _summary(catalog: Catalog, name: str) -> dict[str, object]:
    newest = catalog.history(name)[0]
    state = catalog.state(name)
    return {
        "source": name,
        "format": state.definition.format,
        "files": newest.files,
        "samples": newest.samples,
        "properties": len(state.definition.types),
        "committed": newest.committed.isoformat(timespec="seconds"),
        "snapshot": str(newest.snapshot_id),
    }


def _show(catalog: Catalog, arguments: argparse.Namespace) -> None:
    if arguments.quarantine:
        _show_quarantine(catalog, arguments)
    elif arguments.snapshots:
        catalog.state(arguments.source)
        rows = [
            {
                "snapshot": str(snapshot.snapshot_id),
                "committed": snapshot.committed.isoformat(timespec="seconds"),
                "files": snapshot.files,
                "samples": snapshot.samples,
            }
            for snapshot in catalog.history(arguments.source)
        ]
        _print_rows(arguments, rows, "no snapshot")
    else:
        _show_definition(catalog, arguments)


def _show_quarantine(catalog: Catalog, arguments: argparse.Namespace) -> None:
    """Each record that was left out: where it stands, why, and how it begins."""
    rows = catalog.quarantine(arguments.source).to_pylist()
    for row in rows:
        row["offset"] = None if row["offset"] < 0 else row["offset"]
    if not arguments.json:
        for row in rows:
            row["offset"], row["excerpt"] = "" if row["offset"] is None else row["offset"], repr(row["excerpt"])
    _print_rows(arguments, rows, _nothing_in_quarantine(catalog, arguments.source))


def _nothing_in_quarantine(catalog: Catalog, source: str) -> str:
    state = catalog.state(source)
    skipped = sum(state.files.column("skipped").to_pylist())
    if not skipped:
        return "no record is in quarantine"
    return (
        f"no record is in quarantine: the {skipped:,} that were left out were skipped and not written down; "
        "`on_bad_sample: quarantine` and `mixtera index` write them down"
    )


def _show_definition(catalog: Catalog, arguments: argparse.Namespace) -> None:
    state = catalog.state(arguments.source)
    files = state.files.select(["name", "rows", "samples", "skipped", "quarantined", "size"]).to_pylist()
    definition = asdict(state.definition)
    if arguments.json:
        write_json({"source": state.source, "snapshot": str(state.snapshot_id), **definition, "files": files})
        return
    beside = [(table, column) for table in state.definition.sidecars for column in table.columns]
    lines = [
        f"source      {state.source}",
        f"snapshot    {state.snapshot_id}",
        f"format      {state.definition.format}",
        *(f"path        {path}" for path in state.definition.paths),
        *_table_lines(state.definition.table),
        *(f"content     {column.name}: {column.path}" for column in state.definition.content),
        *(f"property    {column.name}: {column.path} ({column.type})" for column in state.definition.properties),
        *(f"property    {column.name}: {table.origin(column)} ({column.type})" for table, column in beside),
        *(f"property    {column.name}: {column.origin} ({column.type})" for column in state.definition.computed),
        f"bad samples {state.definition.policy}",
        "",
        "",
    ]
    write("\n".join(lines) + aligned(tuple(files[0]), [tuple(file.values()) for file in files]))


def _table_lines(table: TableDefinition | None) -> list[str]:
    """What is said of a table that has the properties of a source."""
    if table is None:
        return []
    keys = ", ".join(f"{key}: {column}" for key, column in table.keys)
    where = " of ".join(part for part in (table.name, table.at) if part)
    return [f"table       {where} ({table.engine or table.format}, version {table.version})", f"keys        {keys}"]


def _stats(catalog: Catalog, arguments: argparse.Namespace) -> None:
    found = catalog.statistics(arguments.source, arguments.property)
    if arguments.json:
        write_json([_plain(asdict(property_)) for property_ in found])
        return
    header = ("property", "type", "samples", "missing", "distinct", "smallest", "largest")
    rows = [(p.name, p.type, p.samples, p.missing, p.distinct, _shown(p.smallest), _shown(p.largest)) for p in found]
    parts = [aligned(header, rows)]
    for property_ in found:
        parts.append(aligned((property_.name, "samples"), [(_shown(value), count) for value, count in property_.top]))
    write("\n\n".join(parts))


def _query(catalog: Catalog, arguments: argparse.Namespace) -> None:
    from mixtera.cli.query import find

    found = find(catalog, arguments.source, arguments.predicate, arguments.limit, arguments.engine)
    if arguments.json:
        rows = [_plain(row) for row in found.rows]
        write_json({"samples": found.samples, "matching": found.matching, "rows": rows})
        return
    if found.rows:
        write(aligned(tuple(found.rows[0]), [[_shown(value) for value in row.values()] for row in found.rows]))
    write(f"{found.matching:,} of {found.samples:,} samples match")


def _drop(catalog: Catalog, arguments: argparse.Namespace) -> None:
    catalog.drop(arguments.source)
    note(arguments, f"dropped {arguments.source} from the catalog {catalog.url}")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """The same with dates and times as ISO text, which JSON has no type for."""
    return {name: _plain_value(value) for name, value in row.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_plain_value(part) for part in value]
    return value.isoformat() if isinstance(value, datetime.date) else value


def _shown(value: object) -> str:
    """A property's value as text: no thousands separators, since a year is no amount."""
    if isinstance(value, list):
        return ", ".join(_shown(part) for part in value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(_plain_value(value))


def _print_rows(arguments: argparse.Namespace, rows: list[dict[str, Any]], empty: str) -> None:
    if arguments.json:
        write_json(rows)
    elif rows:
        write(aligned(tuple(rows[0]), [tuple(row.values()) for row in rows]))
    else:
        note(arguments, empty)
