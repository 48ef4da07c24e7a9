"""Questions about a spec that need no plan: its expressions, its SQL, the engine's own account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from mixtera.compiler.build import SourcePlan, build
from mixtera.compiler.inputs import Catalog
from mixtera.compiler.lower import lower
from mixtera.compiler.optimise import optimised
from mixtera.compiler.pipeline import session
from mixtera.contracts.engine import Engine
from mixtera.errors import EngineError
from mixtera.spec.issues import suggestion
from mixtera.spec.model import Spec

if TYPE_CHECKING:
    import ibis.expr.types as ir

DIALECTS: Final[Mapping[str, str]] = {
    "bigquery": "bigquery",
    "clickhouse": "clickhouse",
    "databricks": "databricks",
    "datafusion": "datafusion",
    "duckdb": "duckdb",
    "postgres": "postgres",
    "pyspark": "pyspark",
    "snowflake": "snowflake",
    "spark": "pyspark",
    "trino": "trino",
}
"""Dialects that SQL can be printed in, and their names in Ibis."""


def _plans(spec: Spec, catalog: Catalog) -> tuple[SourcePlan, ...]:
    return build(spec, [catalog.source(source) for source in spec.sources])


def expressions(spec: Spec, catalog: Catalog) -> dict[str, ir.Table]:
    """The unbound Ibis expression of every source.

    Raises:
        SpecError: The spec does not fit the data's types.
        CatalogError: A source is not indexed, or was indexed differently.
    """
    return {plan.source.name: lower(plan.plan) for plan in optimised(_plans(spec, catalog))}


def sql(spec: Spec, catalog: Catalog, dialect: str = "duckdb") -> dict[str, str]:
    """The SQL of every source, for reading: engines run the expression, never this text.

    Raises:
        EngineError: There is no such dialect.
    """
    import ibis

    if dialect not in DIALECTS:
        raise EngineError(f"SQL cannot be printed in the dialect {dialect!r}{suggestion(dialect, DIALECTS)}")
    found = expressions(spec, catalog)
    return {name: str(ibis.to_sql(expression, dialect=DIALECTS[dialect])) for name, expression in found.items()}


def analyze(spec: Spec, catalog: Catalog, engine: str | Engine = "duckdb") -> dict[str, str]:
    """Run the expression of every source and return the engine's own account of it."""
    plans = optimised(_plans(spec, catalog))
    with session(engine, plans) as running:
        return {plan.source.name: running.analyze(lower(plan.plan)) for plan in plans}
