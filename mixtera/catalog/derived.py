"""Columns of the catalog that no scan gives: what was computed and what sidecar tables brought, and where from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from mixtera.contracts.format import PropertyColumn
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo
from mixtera.errors import CatalogError
from mixtera.spec.captures import capture_of, tail_of

if TYPE_CHECKING:
    from mixtera.catalog.model import Definition
    from mixtera.spec.model import ComputedProperty, Source

Identity: TypeAlias = tuple[object, ...]
"""All that a column's values depend on, beside the files of the source."""


@dataclass(frozen=True, slots=True)
class ComputedColumn:
    """A computed property, as it was computed; `options` are JSON text with sorted keys."""

    name: str
    function: str
    columns: tuple[str, ...]
    type: PropertyType
    options: str
    version: str

    @property
    def origin(self) -> str:
        """Where its values come from, in words."""
        version = f" (version {self.version})" if self.version else ""
        options = f" with {self.options}" if self.options != "{}" else ""
        return f"computed by {self.function}{version} from {', '.join(self.columns)}{options}"


@dataclass(frozen=True, slots=True)
class SidecarTable:
    """A sidecar, as it was read.

    Attributes:
        paths: Patterns of the spec at the time.
        on: Pairs of a property and a column, or `file` and `row` with their columns.
        fingerprint: Of its files.
        columns: Properties with the names of their columns as `path`.
    """

    paths: tuple[str, ...]
    on: tuple[tuple[str, str], ...]
    fingerprint: str
    columns: tuple[PropertyColumn, ...]

    @property
    def by_row(self) -> bool:
        """Whether samples are found by file and row, and not by an id."""
        return len(self.on) > 1

    @property
    def shown(self) -> str:
        """Its patterns, for messages."""
        return ", ".join(self.paths)

    def origin(self, column: PropertyColumn) -> str:
        """Where the values of a property come from, in words."""
        return _beside(column.path, self.paths, self.on)


def fingerprint_of(files: Sequence[FileInfo]) -> str:
    """One text for names, sizes, times and marks of some files, wherever they lie."""
    facts = [(file.name, file.size, file.modified_ns, file.etag) for file in files]
    return blake2b(msgspec.json.encode(facts), digest_size=16).hexdigest()


def is_kept(name: str) -> bool:
    """Whether a column is one that no spec names, and that stays when a spec does not ask for it."""
    return name.startswith("_")


def computed_column(wanted: ComputedProperty) -> ComputedColumn:
    """A computed property as the catalog records it.

    Raises:
        CatalogError: Its options are no JSON values.
    """
    try:
        options = msgspec.json.encode(wanted.options, order="deterministic").decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise CatalogError(f"property {wanted.name!r}: the options are no JSON values: {error}") from error
    return ComputedColumn(wanted.name, wanted.function, wanted.columns, wanted.type, options, wanted.version)


def check_inputs(source: Source) -> None:
    """Refuse a computed property that needs a column which is not there, or not yet: a program may have added it.

    Raises:
        CatalogError: So it is.
    """
    beside = (wanted.name for sidecar in source.sidecars for wanted in sidecar.properties)
    known = [*(field.name for field in source.content), *(wanted.name for wanted in source.properties), *beside]
    for computed in source.computed:
        for name in computed.columns:
            if name not in known:
                raise CatalogError(
                    f"source {source.name!r}: property {computed.name!r} is computed from {name!r}, which is no column "
                    f"before it; there are: {', '.join(known)}"
                )
        known.append(computed.name)


def origins(
    properties: Sequence[PropertyColumn], sidecars: Sequence[SidecarTable], computed: Sequence[ComputedColumn]
) -> dict[str, str]:
    """Where the values of each property come from, in words."""
    found = {column.name: f"at {column.path!r}" for column in properties}
    for table in sidecars:
        found |= {column.name: table.origin(column) for column in table.columns}
    return found | {column.name: column.origin for column in computed}


def wanted_origins(source: Source) -> Iterator[tuple[str, str, PropertyType | None]]:
    """Name, origin in words and declared type of every property that a source of a spec asks for."""
    for wanted in source.properties:
        yield wanted.name, f"at {wanted.path!r}", wanted.type
    for sidecar in source.sidecars:
        for wanted in sidecar.properties:
            yield wanted.name, _beside(wanted.path, sidecar.paths, sidecar.on), wanted.type
    for computed in source.computed:
        yield computed.name, computed_column(computed).origin, computed.type


def _beside(column: str, paths: Sequence[str], on: Sequence[tuple[str, str]]) -> str:
    pairs = ", ".join(name if name == other else f"{name} = {other}" for name, other in on)
    return f"from the column {column!r} of {', '.join(paths)} on {pairs}"


def identities(definition: Definition) -> dict[str, Identity]:
    """What the values of each property depend on: a column is of use to a definition that has the same."""
    tails = tuple(map(tail_of, definition.paths))
    found: dict[str, Identity] = {}
    for column in definition.properties:
        origin = ("record",) if capture_of(column.path) is None else ("path", tails)
        found[column.name] = (*origin, column.path, column.type)
    for table in definition.sidecars:
        key = tuple((column, found.get(name)) for name, column in table.on)
        found |= {
            column.name: ("sidecar", table.fingerprint, key, column.path, column.type) for column in table.columns
        }
    content = {column.name: ("content", column.path) for column in definition.content}
    for computed in definition.computed:
        found[computed.name] = ("computed", computed, _inputs(computed, content, found))
    return found


def _inputs(
    column: ComputedColumn, content: Mapping[str, Identity], properties: Mapping[str, Identity]
) -> tuple[Identity | None, ...]:
    return tuple(content.get(name, properties.get(name)) for name in column.columns)


def kept_columns(before: Definition | None, source: Source) -> list[ComputedColumn]:
    """Columns of a definition that no spec names, that a source does not ask for, and that can still be computed."""
    if before is None:
        return []
    wanted = set(source.property_names)
    known = {field.name for field in source.content} | wanted
    kept: list[ComputedColumn] = []
    for column in before.computed:
        if is_kept(column.name) and column.name not in wanted and known.issuperset(column.columns):
            kept.append(column)
            known.add(column.name)
    return kept
