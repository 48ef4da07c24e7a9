"""What an engine is told of the tables that expressions name: their Parquet files, or their names in its database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from mixtera.catalog.indexed import Keyed
from mixtera.compiler.keyed import NAMES, RANKS, names_table, ranks_table
from mixtera.compiler.lower import arrow_schema
from mixtera.contracts.engine import Engine
from mixtera.contracts.holding import HeldTable, Holding
from mixtera.contracts.properties import PropertyType
from mixtera.errors import CatalogError


def make_known(
    engine: Engine, name: str, files: Sequence[str], types: Mapping[str, PropertyType], keyed: Keyed | None
) -> None:
    """Make the table of a source known to an engine.

    Args:
        engine: The engine.
        name: The name of the table.
        files: Its Parquet files; empty where the engine's database has it.
        types: Types of the properties.
        keyed: How its rows name their samples, where it is one of others.

    Raises:
        CatalogError: Another engine has it; or it is not what was pinned.
        EngineError: The engine failed.
    """
    if keyed is None:
        engine.register({name: files}, {name: arrow_schema(types)})
        return
    tables: dict[str, Sequence[str]] = {names_table(name): [keyed.paths]}
    schemas: dict[str, pa.Schema] = {names_table(name): NAMES}
    if keyed.ranks:
        tables[ranks_table(name)], schemas[ranks_table(name)] = [keyed.ranks], RANKS
    if keyed.held is None:
        tables[name], schemas[name] = files, keyed.copied
        engine.register(tables, schemas)
        return
    holder = _holder(engine, name, keyed.held)
    engine.register(tables, schemas)
    holder.hold(name, keyed.held)


def _holder(engine: Engine, source: str, held: HeldTable) -> Holding:
    """The engine, if it has the table.

    Raises:
        CatalogError: It does not.
    """
    if engine.name != held.engine or not isinstance(engine, Holding):
        raise CatalogError(
            f"the properties of source {source!r} are in the {held.shown}, which {engine.name} cannot read: use "
            f"`--engine {held.engine}` (in Python engine={held.engine!r})"
        )
    return engine
