"""What a source was indexed as."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from mixtera.catalog.derived import ComputedColumn, SidecarTable, is_kept, origins, wanted_origins
from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.contracts.holding import shown_table
from mixtera.contracts.properties import PropertyType
from mixtera.spec.captures import capture_of

if TYPE_CHECKING:
    from mixtera.spec.model import ExistingTable, Source

Policy: TypeAlias = Literal["fail", "skip", "quarantine"]


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """A table of others that has the properties of a source, as it was pinned.

    Attributes:
        format: What it is kept as; empty where an engine has it.
        at: Where it lies; empty where a server has it.
        keys: Pairs of a key (`file`, `row`, `offset`, `length`) and its column.
        version: What of it was pinned: a snapshot, a version, the fingerprint of its files or that of its rows.
        engine: The engine whose database has it; empty where it is files.
        name: Its name there.
    """

    format: str
    at: str
    keys: tuple[tuple[str, str], ...]
    version: str
    engine: str = ""
    name: str = ""

    @property
    def shown(self) -> str:
        """What messages call it."""
        return shown_table(self.engine or self.format, self.at, self.name)


@dataclass(frozen=True, slots=True)
class Definition:
    """What a source was indexed as, stored with every snapshot of it.

    Attributes:
        format: Name of the format.
        paths: Patterns of the spec at the time.
        content: Content columns that every sample was checked for.
        properties: Properties with the types they have, declared or inferred.
        policy: What was done with samples that cannot be used.
        computed: Properties that functions have computed, each after those it needs.
        sidecars: Tables that have brought properties.
        table: The table that has the properties, and whose columns are their paths; None: the catalog has them.
    """

    format: str
    paths: tuple[str, ...]
    content: tuple[ContentColumn, ...]
    properties: tuple[PropertyColumn, ...]
    policy: Policy
    computed: tuple[ComputedColumn, ...] = ()
    sidecars: tuple[SidecarTable, ...] = ()
    table: TableDefinition | None = None

    @property
    def types(self) -> dict[str, PropertyType]:
        """Type of each property, wherever it comes from: first those of the records, in the order of the columns."""
        return {column.name: column.type for column in self.columns}

    @property
    def columns(self) -> tuple[PropertyColumn | ComputedColumn, ...]:
        """Every property: of the records, of sidecars, computed."""
        beside = (column for sidecar in self.sidecars for column in sidecar.columns)
        return (*self.properties, *beside, *self.computed)

    @property
    def scanned(self) -> Definition:
        """The part of it that a scan of the files gives."""
        return replace(self, computed=(), sidecars=())

    def differences(self, source: Source) -> list[str]:
        """What a source of a spec asks for that this definition does not have, in words; empty when it serves it."""
        found = [] if source.format == self.format else [f"format {self.format}, now {source.format}"]
        found += _other_table(self.table, source.table)
        content = tuple((field.name, field.path) for field in source.content)
        stored = tuple((column.name, column.path) for column in self.content)
        if content != stored:
            found.append(f"content {_written(stored)}, now {_written(content)}")
        have = origins(self.properties, self.sidecars, self.computed)
        for name, wanted, type_ in wanted_origins(source):
            if name not in have:
                found.append("no token counts by this tokenizer" if is_kept(name) else f"no property {name!r}")
            elif is_kept(name):
                continue  # its name says what it is
            elif have[name] != wanted:
                found.append(f"property {name!r} {have[name]}, now {wanted}")
            elif type_ not in (None, self.types[name]):
                found.append(f"property {name!r} as {self.types[name]}, now as {type_}")
        return found

    def serves_exactly(self, source: Source) -> bool:
        """Whether indexing the source again would give the same columns; those that no spec names do not count."""
        named = [name for name in self.types if not is_kept(name)]
        wanted = [name for name in source.property_names if not is_kept(name)]
        return not self.differences(source) and len(named) == len(wanted)

    def same_rows(self, source: Source) -> bool:
        """Whether a scan for the source would find the same records good, but for what its properties refuse."""
        if self.table is not None or source.table is not None:
            return False
        content = tuple((field.name, field.path) for field in source.content)
        return (source.format, content) == (self.format, tuple((c.name, c.path) for c in self.content))

    def same_checks(self, source: Source) -> bool:
        """Whether a scan for the source would find the same records good."""
        types = {column.name: column.type for column in self.properties}
        mine = {(column.name, column.path) for column in self.properties if capture_of(column.path) is None}
        read = [wanted for wanted in source.properties if capture_of(wanted.path) is None]
        theirs = {(wanted.name, wanted.path) for wanted in read}
        typed = all(wanted.type in (None, types.get(wanted.name)) for wanted in read)
        return self.same_rows(source) and mine == theirs and typed


def _other_table(stored: TableDefinition | None, wanted: ExistingTable | None) -> list[str]:
    """How the table of a source differs from that of a definition."""
    tables = ("no table" if stored is None else stored.shown, "no table" if wanted is None else wanted.shown)
    if tables[0] != tables[1]:
        return [f"{tables[0]}, now {tables[1]}"]
    if stored is not None and wanted is not None and stored.keys != wanted.keys:
        return [f"keys {_written(stored.keys)}, now {_written(wanted.keys)}"]
    return []


def _written(pairs: tuple[tuple[str, str], ...]) -> str:
    return "{" + ", ".join(f"{name}: {path}" for name, path in pairs) + "}"
