"""Questions about a spec that need no plan: its expressions, its SQL, the engine's own account."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from mixtera import registry
from mixtera.compiler.build import SourcePlan, build
from mixtera.compiler.dialect import sql_of
from mixtera.compiler.inputs import Catalog
from mixtera.compiler.lower import lower
from mixtera.compiler.optimise import optimised
from mixtera.compiler.pipeline import session
from mixtera.contracts.engine import Engine
from mixtera.errors import EngineError, PluginError
from mixtera.spec.issues import suggestion
from mixtera.spec.model import Spec

if TYPE_CHECKING:
    import ibis.expr.types as ir


@cache
def dialects() -> Mapping[str, str]:
    """Dialects that SQL can be printed in, and their names in Ibis: those of the engines."""
    found: dict[str, str] = {}
    for name in registry.names("engines"):
        try:
            engine = registry.engine_class(name)
        except PluginError:  # a plugin that cannot be loaded here is no reason not to print what Ibis can
            continue
        found |= dict.fromkeys((engine.name, engine.dialect), engine.dialect) if engine.dialect else {}
    return dict(sorted(found.items()))


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
    return {name: printed(expression, dialect) for name, expression in expressions(spec, catalog).items()}


def printed(expression: ir.Table, dialect: str) -> str:
    """The SQL of an expression.

    Raises:
        EngineError: There is no such dialect.
    """
    known = dialects()
    if dialect not in known:
        raise EngineError(f"SQL cannot be printed in the dialect {dialect!r}{suggestion(dialect, known)}")
    return sql_of(expression, known[dialect])


def analyze(spec: Spec, catalog: Catalog, engine: str | Engine = "duckdb") -> dict[str, str]:
    """Run the expression of every source and return the engine's own account of it."""
    plans = optimised(_plans(spec, catalog))
    with session(engine, plans) as running:
        return {plan.source.name: running.analyze(lower(plan.plan)) for plan in plans}
