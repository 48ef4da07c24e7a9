"""What the compiler reads of a source: the Parquet files and the list of files of its newest snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc

from mixtera.catalog.indexed import IndexedSource, Keyed
from mixtera.catalog.state import State, read_state
from mixtera.errors import CatalogError
from mixtera.spec.model import Source

if TYPE_CHECKING:
    from mixtera.catalog.tables import Tables

COLUMNS: Final = [
    "name",
    "url",
    "file_id",
    "rows",
    "size",
    "modified_ns",
    "etag",
    "group_rows",
    "content_bytes",
    "frames",
    "beside",
    "samples",
    "data_file",
]


def indexed_source(tables: Tables, source: Source) -> IndexedSource:
    """The newest snapshot of a source, as the spec describes it.

    Raises:
        CatalogError: It is not in the catalog, or was indexed as something else.
    """
    state = read_state(tables, source.name)
    if state is None:
        raise CatalogError(
            f"source {source.name!r} is not in the catalog {tables.shown}: run `mixtera index {source.place.file}`"
        )
    if differences := _differences(state, source):
        raise CatalogError(
            f"source {source.name!r} was indexed with another definition: {'; '.join(differences)}: "
            f"run `mixtera index {source.place.file}`"
        )
    types, files = state.definition.types, data_files(tables, state)
    return IndexedSource(
        source.name,
        source.name,
        state.snapshot_id,
        {name: types[name] for name in source.property_names},
        files,
        state.files.select(COLUMNS),
        pc.sum(state.files["samples"]).as_py() or 0,
        keyed(tables, state, files),
    )


def keyed(tables: Tables, state: State, files: tuple[str, ...]) -> Keyed | None:
    """How the rows of the Parquet files of a state name their samples, where they are those of a table of others."""
    if (table := state.definition.table) is None:
        return None
    from mixtera.catalog.existing.reading import keyed_of

    return keyed_of(tables, state, table, files)


def data_files(tables: Tables, state: State) -> tuple[str, ...]:
    """Paths of the Parquet files of a state, ordered.

    Raises:
        CatalogError: They are those of a table of others, and not what was pinned of it.
    """
    if (table := state.definition.table) is not None:
        from mixtera.catalog.existing.reading import table_files

        return table_files(tables, state, table)
    directory = tables.data_directory(state.source)
    names = pc.unique(state.files["data_file"]).to_pylist()
    paths = [directory / name for name in sorted(names) if name]
    tables.have(paths)
    return tuple(map(str, paths))


def _differences(state: State, source: Source) -> list[str]:
    found = state.definition.differences(source)
    if state.definition.paths != source.paths:
        found.append(f"paths {', '.join(state.definition.paths)}, now {', '.join(source.paths)}")
    bad = (pc.sum(state.files["skipped"]).as_py() or 0) + (pc.sum(state.files["quarantined"]).as_py() or 0)
    if bad and source.on_bad_sample.policy == "fail":
        found.append(f"on_bad_sample: {state.definition.policy} ({bad} left out), now fail")
    rule, samples = source.on_bad_sample, pc.sum(state.files["samples"]).as_py() or 0
    if rule.max_count is not None and bad > rule.max_count:
        found.append(f"{bad:,} records left out, now {rule.max_count:,} at most")
    if rule.max_fraction is not None and bad / max(bad + samples, 1) > rule.max_fraction:
        found.append(f"{bad:,} of {bad + samples:,} records left out, now a fraction of {rule.max_fraction:g} at most")
    return found
