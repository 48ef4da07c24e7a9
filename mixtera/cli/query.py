"""Samples of one source that a predicate selects, found by an engine over the catalog's Parquet files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixtera.errors import SpecError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from mixtera.catalog import Catalog
    from mixtera.catalog.indexed import Keyed
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

    from mixtera.compiler.tables import make_known
    from mixtera.registry import engine_named

    state = catalog.state(source)
    samples = sum(state.files["samples"].to_pylist())
    files = catalog.data_files(source)
    keyed = catalog.keyed(source)
    selected = _selected(state, keyed, predicate)
    if not files and (keyed is None or keyed.held is None):
        return Found(samples, 0, [])
    session = engine_named(engine)
    try:
        make_known(session, source, files, state.definition.types, keyed)
        counted = pa.Table.from_batches(session.batches(selected.aggregate(matching=selected.count())))
        ordered = selected.order_by("file_id", "row").limit(limit)
        batches = list(session.batches(ordered))  # engines have names of their own for elements of lists and for UTC
        first = pa.Table.from_batches(batches, None if batches else ordered.schema().to_pyarrow())
    finally:
        session.close()
    return Found(samples, counted["matching"][0].as_py(), _named(state, first))


def _selected(state: State, keyed: Keyed | None, predicate: str) -> ir.Table:
    import ibis

    from mixtera.compiler.lower import condition, scanned
    from mixtera.compiler.nodes import Scan
    from mixtera.contracts.properties import PropertyType
    from mixtera.spec import check_types, parse_predicate

    types: dict[str, PropertyType] = {"dataset": "string", **state.definition.types}
    checked, issues = check_types(parse_predicate(predicate, types), types)
    if issues:
        raise SpecError(issues)
    table = scanned(Scan(state.source, state.source, tuple(state.definition.types.items()), keyed=keyed))
    table = table.mutate(dataset=ibis.literal(state.source))
    return table.filter(condition(checked, table, types)).select("file_id", "row", *state.definition.types)


def _named(state: State, rows: pa.Table) -> list[dict[str, object]]:
    from mixtera.arrow import to_python

    names = dict(zip(state.files["file_id"].to_pylist(), state.files["name"].to_pylist(), strict=True))
    values = zip(*map(to_python, rows.columns), strict=True)
    records: list[dict[str, object]] = [dict(zip(rows.column_names, record, strict=True)) for record in values]
    found = sorted(records, key=lambda row: (names[row["file_id"]], row["row"]))
    return [{"sample": f"{names[row.pop('file_id')]}#{row.pop('row')}", **row} for row in found]
