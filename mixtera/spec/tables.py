"""Reads `table:` and `keys:` of a source: properties that a team keeps in a table already."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from mixtera import registry
from mixtera.contracts.holding import Place, held_in
from mixtera.errors import PluginError
from mixtera.spec import table_keys
from mixtera.spec.captures import captured_names
from mixtera.spec.fields import Fields
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.model import ExistingTable, Source, Tokens
from mixtera.spec.paths import problem_of, resolve

_MAGIC: Final = re.compile(r"[*?\[]")
_ADDRESS: Final = re.compile(r"://|\bpassword\s*=", re.IGNORECASE)
_ALONE: Final = {
    "sidecars": "a table has all properties of its samples: join the other one to it, as a view or a new table",
    "on_bad_sample": "no record is read, so none is found to be bad: leave its row out of the table",
}
"""Keys that say something of records, which nobody reads where there is a table."""


def read_table(fields: Fields, issues: Issues) -> ExistingTable | None:
    """The table of a source; None where it has none, or a wrong one, which is reported."""
    if fields.is_absent("table"):
        if not fields.is_absent("keys"):
            issues.add(fields.key_place("keys"), "'keys' are those of a `table`, which this source does not have")
        elif fields.is_absent("path"):
            issues.add(fields.place, f"{fields.section.name} needs the key 'path'")
        return None
    for name in ("keys", "format"):
        if fields.is_absent(name):
            issues.add(fields.place, f"a source with a `table` needs the key {name!r}{_HINTS[name]}")
    for name, why in _ALONE.items():
        if name in fields:
            issues.add(fields.key_place(name), f"{name!r} does not go with `table`: {why}")
    return _table(fields, _keys(fields, issues), issues)


_HINTS: Final = {
    "keys": ": {file: COLUMN, row: COLUMN}, or with offset and length for records at offsets",
    "format": ": that of the files which the table names",
}


def _table(fields: Fields, keys: tuple[tuple[str, str], ...], issues: Issues) -> ExistingTable | None:
    node = fields.mapping("table")
    if node is None:
        return None
    inner = Fields(node, table_keys.TABLE, issues, fields.key_place("table"))
    held = "engine" in inner or "name" in inner
    found = _held(inner, issues) if held else _files(inner, issues)
    at = inner.text("at")
    if at is not None and (problem := problem_of(at)):
        issues.add(inner.value_place("at"), f"at: {problem}")
        return None
    if found is None or not keys:
        return None
    kind, engine, name = found
    where = "" if at is None else resolve(at, inner.value_place("at").file)
    return ExistingTable(kind, where, keys, fields.key_place("table"), engine, name)


def _files(inner: Fields, issues: Issues) -> tuple[str, str, str] | None:
    """The format of a table of files; None where something is wrong, which is reported."""
    for name in ("format", "at"):
        if inner.is_absent(name):
            more = " (or `engine` and `name`, where a database has it)" if name == "format" else ""
            issues.add(inner.place, f"a table needs the key {name!r}{more}")
    kind, at = inner.choice("format", table_keys.TABLE_FORMATS), inner.text("at")
    if at is not None and kind is not None and kind != "parquet" and _MAGIC.search(at) and not problem_of(at):
        issues.add(inner.value_place("at"), f"at: {at!r} is a pattern: name the one place of the {kind} table")
        return None
    return None if kind is None or at is None else (kind, "", "")


def _held(inner: Fields, issues: Issues) -> tuple[str, str, str] | None:
    """The engine and the name of a table in a database; None where something is wrong, which is reported."""
    if "format" in inner:
        issues.add(inner.key_place("format"), "`format` is that of files, and `engine` has a database: remove one")
    for key in ("engine", "name"):
        if inner.is_absent(key):
            issues.add(inner.place, f"a table in a database needs the key {key!r}")
    engine, name = inner.text("engine"), inner.text("name")
    if name is not None and _ADDRESS.search(name):
        message = "name: expected SCHEMA.TABLE, found an address: where a server is, and who may use it, no spec says"
        issues.add(inner.value_place("name"), message)
        return None
    if engine is None or not _check_engine(engine, inner, issues) or name is None or "format" in inner:
        return None
    return "", engine, name


def _check_engine(engine: str, inner: Fields, issues: Issues) -> bool:
    """Whether an engine has databases, and the spec names their place where it must; what is wrong is reported."""
    places = _holding()
    if engine not in places:
        message = f"engine: {engine!r} is no engine with tables to name{suggestion(engine, tuple(places))}"
        issues.add(inner.value_place("engine"), message)
    elif places[engine] == "file" and inner.is_absent("at"):
        issues.add(inner.place, f"a table of {engine} needs the key 'at': the file of the database")
    elif places[engine] == "file" and _MAGIC.search(inner.text("at") or ""):
        issues.add(inner.value_place("at"), f"at: {inner.text('at')!r} is a pattern: name the file of the database")
    elif places[engine] == "server" and "at" in inner:
        message = f"`at` does not go with {engine}, which is a server: no spec says where it is; the environment does"
        issues.add(inner.key_place("at"), message)
    else:
        return True
    return False


@cache
def _holding() -> dict[str, Place]:
    """Engines with tables that a source can name, and where their databases are."""
    found: dict[str, Place] = {}
    for name in registry.names("engines"):
        try:
            place = held_in(registry.engine_class(name))
        except PluginError:  # a plugin that cannot be loaded here has no tables here
            continue
        found |= {} if place is None else {name: place}
    return found


def _keys(fields: Fields, issues: Issues) -> tuple[tuple[str, str], ...]:
    """The keys with their columns; empty where they are wrong, which is reported."""
    node = fields.mapping("keys")
    if node is None:
        return ()
    inner = Fields(node, table_keys.TABLE_KEYS, issues, fields.key_place("keys"))
    found = {name: column for name in table_keys.KEY_NAMES if (column := inner.text(name)) is not None}
    place = fields.key_place("keys")
    if inner.is_absent("row") and inner.is_absent("offset"):
        issues.add(place, "the table has no order: `keys` need `row`, or `offset` and `length`, beside `file`")
        return ()
    if inner.is_absent("offset") != inner.is_absent("length"):
        issues.add(place, "`offset` and `length` go together: one of them is missing")
        return ()
    twice = next((column for column in found.values() if list(found.values()).count(column) > 1), None)
    if twice is not None:
        names = " and ".join(name for name, column in found.items() if column == twice)
        issues.add(place, f"the column {twice!r} cannot be {names} at once")
        return ()
    return tuple(found.items()) if "file" in found else ()


def check_table(source: Source, fields: Fields, issues: Issues) -> None:
    """Report what a source with a table cannot have."""
    if source.table is None:
        return
    for scalar in fields.texts("path")[1:]:
        issues.add(scalar.place, "path: with `table` it is one folder, below which the files of the table lie")
    for scalar in fields.texts("path")[:1]:
        if _MAGIC.search(scalar.text) or captured_names(scalar.text):
            message = f"path: with `table` it is a folder, and no pattern: {scalar.text!r}; the table names the files"
            issues.add(scalar.place, message)
    for computed in source.computed:
        message = f"property {computed.name!r} cannot be computed: no record is read with `table`; add a column to it"
        issues.add(computed.place, message)
    _check_format(source, source.table, fields, issues)


def check_tokens(sources: Sequence[Source], tokens: Tokens | None, issues: Issues) -> None:
    """Report sources with a table whose tokens would have to be counted: nobody reads their records."""
    for source in sources:
        if source.table is not None and tokens is not None and tokens.packs:
            message = (
                f"source {source.name!r} has a `table`, so its records are not read and their tokens not counted; "
                "`tokens: {packing: none}` needs no counts, and a source without `table` is counted by `mixtera index`"
            )
            issues.add(source.table.place, message)


def _check_format(source: Source, table: ExistingTable, fields: Fields, issues: Issues) -> None:
    """Report keys that do not find the records of the format."""
    try:
        offsets = registry.format_named(source.format).offsets if source.format else None
    except PluginError:  # reported where the format is read
        return
    has_offsets = any(name == "offset" for name, _ in table.keys)
    if offsets not in (None, "never") and not has_offsets:
        message = f"records of the format {source.format} lie at offsets: `keys` need `offset` and `length`"
        issues.add(fields.key_place("keys"), message)
    elif offsets == "never" and not any(name == "row" for name, _ in table.keys):
        message = f"the table has no order: samples of the format {source.format} are found by `row`, which `keys` lack"
        issues.add(fields.key_place("keys"), message)
    elif offsets == "never" and has_offsets:
        message = f"samples of the format {source.format} are found by `row` alone: remove `offset` and `length`"
        issues.add(fields.key_place("keys"), message)
