"""Tables that a team keeps in a database which an engine is connected to: read where they are, as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

import pyarrow as pa

from mixtera.contracts.properties import PropertyType

if TYPE_CHECKING:
    from mixtera.contracts.engine import Engine

Place: TypeAlias = Literal["server", "file"]
"""Where a database is: on a server that the engine is connected to, or in a file that a spec names."""


def shown_table(kind: str, at: str, name: str = "") -> str:
    """What messages call a table of others.

    Args:
        kind: Its format, or the engine that holds it.
        at: Where it lies; empty where a server has it.
        name: Its name in the database; empty where it is no table of one.
    """
    return f"{kind} table {' of '.join(part for part in (name, at) if part)}"


@dataclass(frozen=True, slots=True)
class HeldColumn:
    """A column of such a table.

    Attributes:
        name: Its name.
        type: What it is as a property; None where its type has values that engines do not say alike.
        shown: The type in the database's own words.
    """

    name: str
    type: PropertyType | None
    shown: str


@dataclass(frozen=True, slots=True)
class HeldTable:
    """A table, view or whatever else can be selected from, and what is used of it.

    Attributes:
        engine: Name of the engine.
        name: Its name, as a spec writes it.
        at: The file of the database; empty where the engine is connected to a server.
        columns: Columns that are used, with what they are as properties.
        pin: What their rows have to be: what `held_pin` has said of them; empty where that is not known yet.
    """

    engine: str
    name: str
    at: str
    columns: tuple[tuple[str, PropertyType], ...] = ()
    pin: str = ""

    @property
    def shown(self) -> str:
        """What messages call it."""
        return shown_table(self.engine, self.at, self.name)


@runtime_checkable
class Holding(Protocol):
    """An engine whose database has tables that sources of a spec can name; nothing of them is copied or changed.

    Attributes:
        held_in: Where its databases are.
    """

    held_in: Place

    def held_columns(self, table: HeldTable) -> Sequence[HeldColumn]:
        """The columns that a table has.

        Raises:
            CatalogError: There is no such table, or no such file.
            EngineError: The engine failed, or does not let this user see it.
        """

    def held_pin(self, table: HeldTable) -> str:
        """What pins the used columns of all rows, whatever their order: the same where their values are the same.

        Raises:
            CatalogError: A value is none that a property can have.
            EngineError: The engine failed.
        """

    def held_rows(self, table: HeldTable, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some of the used columns of all rows, as properties, in any order.

        Raises:
            CatalogError: The table is not what its pin says.
            EngineError: The engine failed.
        """

    def hold(self, name: str, table: HeldTable) -> None:
        """Make a table known to expressions under a name, its used columns as properties.

        Where it is not what its pin says any more, this raises a `CatalogError`, or the first answer does: no row of
        another state is ever told.
        """


def held_in(engine: Engine | type[Engine]) -> Place | None:
    """Where the databases of an engine are; None where no source can name a table of it."""
    return getattr(engine, "held_in", None)
