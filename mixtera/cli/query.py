"""Samples of one source that a predicate selects, found by an engine over the catalog's Parquet files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixtera.errors import SpecError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from mixtera.catalog import Catalog
    from mixtera.catalog.state import State


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found.

    Attributes:
        samples: Samples of the source.
        matching: Those that the predicate selects.
        rows: The first of them by (file id, row): `sample` as `FILE#ROW`, then the properties.
    """

    samples: int
    matching: int
    rows: list[dict[str, object]]


def find(catalog: Catalog, source: str, predicate: str, limit: int, engine: str) -> Found:
    """Run a query.

    Raises:
        CatalogError: The source is not in the catalog.
        SpecError: The predicate is wrong, or has the wrong types.
        EngineError: The engine failed.
    """
    import pyarrow as pa

    from mixtera.compiler.lower import arrow_schema
    from mixtera.registry import engine_named

    state = catalog.state(source)
    samples = sum(state.files["samples"].to_pylist())
    selected = _selected(state, predicate)
    if not (files := catalog.data_files(source)):
        return Found(samples, 0, [])
    session = engine_named(engine)
    try:
        session.register({source: files}, {source: arrow_schema(state.definition.types)})
        counted = pa.Table.from_batches(session.batches(selected.aggregate(matching=selected.count())))
        ordered = selected.order_by("file_id", "row").limit(limit)
        first = pa.Table.from_batches(session.batches(ordered), ordered.schema().to_pyarrow())
    finally:
        session.close()
    return Found(samples, counted["matching"][0].as_py(), _named(state, first))


def _selected(state: State, predicate: str) -> ir.Table:
    import ibis

    from mixtera.compiler.lower import arrow_schema, condition
    from mixtera.contracts.properties import PropertyType
    from mixtera.spec import check_types, parse_predicate

    types: dict[str, PropertyType] = {"dataset": "string", **state.definition.types}
    checked, issues = check_types(parse_predicate(predicate, types), types)
    if issues:
        raise SpecError(issues)
    table = ibis.table(ibis.Schema.from_pyarrow(arrow_schema(state.definition.types)), name=state.source)
    table = table.mutate(dataset=ibis.literal(state.source))
    return table.filter(condition(checked, table, types)).drop("dataset", "offset", "length")


def _named(state: State, rows: pa.Table) -> list[dict[str, object]]:
    names = dict(zip(state.files["file_id"].to_pylist(), state.files["name"].to_pylist(), strict=True))
    found = sorted(rows.to_pylist(), key=lambda row: (names[row["file_id"]], row["row"]))
    return [{"sample": f"{names[row.pop('file_id')]}#{row.pop('row')}", **row} for row in found]
