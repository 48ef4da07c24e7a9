"""Properties of a source, by where their values come from; the rest of a spec is in `mixtera.spec.model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mixtera.contracts.holding import shown_table
from mixtera.contracts.properties import PropertyType


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a spec file: line and column from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Property:
    """A property of a source: `path` is dotted into the record; `type` None means: infer it from the data."""

    name: str
    path: str
    type: PropertyType | None
    place: Place


@dataclass(frozen=True, slots=True)
class ComputedProperty:
    """A property that a function computes from columns of the samples.

    Attributes:
        name: The property. A name that begins with `_` is none that a spec can give: the catalog keeps the column when
            it is indexed by a spec that does not ask for it.
        function: `module:function`; it is called with a record batch of the columns and the options by keyword, and
            returns one value per row.
        columns: What it needs: names of content columns (they go first) and of other properties of the source.
        type: Type of its values.
        options: JSON values.
        version: Another one computes the column anew.
        place: Where it stands.
    """

    name: str
    function: str
    columns: tuple[str, ...]
    type: PropertyType
    options: Mapping[str, object] = field(default_factory=dict, hash=False)
    version: str = ""
    place: Place = Place("the program", 1, 1)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Tables that bring properties of samples, beside their files.

    Attributes:
        paths: Resolved patterns.
        on: What must be equal: pairs of a property and a column; or `file` and `row`, each with its column.
        properties: What they bring; `path` is the column's name.
        place: Where it stands.
    """

    paths: tuple[str, ...]
    on: tuple[tuple[str, str], ...]
    properties: tuple[Property, ...]
    place: Place

    @property
    def by_row(self) -> bool:
        """Whether samples are found by file and row, and not by an id."""
        return len(self.on) > 1


@dataclass(frozen=True, slots=True)
class ExistingTable:
    """A table that has the properties of a source, and says in which file and row each sample lies.

    Attributes:
        format: What it is kept as: `parquet`, `iceberg` or `delta`; empty where an engine has it.
        at: Where it lies: a resolved path, glob or URL; empty where a server has it.
        keys: Pairs of a key (`file`, `row`, `offset`, `length`) and its column, in this order.
        place: Where it stands.
        engine: The engine whose database has it; empty where it is files.
        name: Its name there.
    """

    format: str
    at: str
    keys: tuple[tuple[str, str], ...]
    place: Place
    engine: str = ""
    name: str = ""

    @property
    def shown(self) -> str:
        """What messages call it."""
        return shown_table(self.engine or self.format, self.at, self.name)
