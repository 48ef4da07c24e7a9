"""What engines with databases share: names of tables, what pins one, and the words for one that has moved."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from mixtera.contracts.holding import HeldColumn, HeldTable
from mixtera.contracts.properties import PropertyType
from mixtera.errors import CatalogError
from mixtera.spec.issues import suggestion

_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
_SIZE: Final = re.compile(r"\([^)]*\)")
"""As in `character varying(20)`."""
_HASHES: Final = 1 << 64
_LISTS: Final[Mapping[PropertyType, PropertyType]] = {
    "string": "list<string>",
    "int64": "list<int64>",
    "float64": "list<float64>",
}
_DATED: Final = ("date", "timestamp")


def quoted(name: str) -> str:
    """A name in SQL, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def parts_of(table: HeldTable, schema: str) -> tuple[str, str]:
    """Schema and name of a table: `SCHEMA.TABLE`, as the database spells them; quotes around a part with a dot.

    Args:
        table: The table.
        schema: The schema of one that is named without.

    Raises:
        CatalogError: It is no such name.
    """
    parts, rest = [], table.name
    while found := _PART.match(rest):
        parts.append(found[1].replace('""', '"') if found[1] else found[2])
        rest = rest[found.end() :]
        if not rest.startswith("."):
            break
        rest = rest[1:]
    if rest or not 1 <= len(parts) <= 2 or table.name.endswith("."):
        raise CatalogError(
            f'{table.shown}: that is no name of a table: write SCHEMA.TABLE, with "quotes" around a part with a dot'
        )
    return (schema, parts[0]) if len(parts) == 1 else (parts[0], parts[1])


def column_of(name: str, shown: str, types: Mapping[str, PropertyType]) -> HeldColumn:
    """A column by its type in the database's words.

    Args:
        name: Its name.
        shown: Its type.
        types: What types of no list are as properties.
    """
    plain = _SIZE.sub("", shown)
    if plain.endswith("[]"):
        element = types.get(plain.removesuffix("[]"))
        return HeldColumn(name, None if element is None else _LISTS.get(element), shown)
    return HeldColumn(name, types.get(plain), shown)


def no_such_table(table: HeldTable, known: Iterable[str]) -> CatalogError:
    """The error of a table that is not there, or that this user does not see."""
    hint = suggestion(table.name, known, "tables")
    return CatalogError(f"{table.shown}: there is none, or this user does not see it{hint}")


def pin_statement(table: HeldTable, row_hash: str, lists: str, source: str) -> str:
    """SQL for what pins the rows: their number, the sum of their hashes, and whether a column has what no property can.

    Args:
        table: The table.
        row_hash: SQL of a number of 64 bits for the used columns of a row.
        lists: SQL of whether a column `{}` is a list of lists; empty where types say so.
        source: What is selected from, with the used columns as properties.
    """
    checks = [_check(name, type_, lists) for name, type_ in table.columns]
    return f"SELECT {', '.join(['count(*)', f'sum({row_hash})', *checks])} FROM {source}"


def _check(name: str, type_: PropertyType, lists: str) -> str:
    if type_ in _DATED:
        return f"bool_or(NOT isfinite({quoted(name)}))"
    return f"bool_or({lists.format(quoted(name))})" if lists and type_.startswith("list<") else "false"


def pin_of(table: HeldTable, row: Sequence[object]) -> str:
    """What pins the rows, by the answer to `pin_statement`.

    Raises:
        CatalogError: A column has a value that no property can have.
    """
    count, hashes, *wrong = row
    for (name, type_), found in zip(table.columns, wrong, strict=True):
        if found:
            what = "an infinite value" if type_ in _DATED else "lists in lists"
            raise CatalogError(
                f"{table.shown}: the column {name!r} has {what}, which no property can have: give it another, or NULL, "
                "in the table or in a view of it"
            )
    return f"{int(str(count)):,} rows, {int(str(hashes or 0)) % _HASHES:016x}"


def check_pin(table: HeldTable, found: str) -> None:
    """Refuse a table whose rows are not what was pinned.

    Raises:
        CatalogError: They are not.
    """
    if table.pin and found != table.pin:
        raise moved(table, f"now it has {found}")


def moved(table: HeldTable, what: str) -> CatalogError:
    """The error of a table that is not what was pinned."""
    return CatalogError(
        f"{table.shown} is not what `mixtera index` pinned ({table.pin}): {what}: run `mixtera index` again"
    )
