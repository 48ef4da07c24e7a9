"""The SQL that Ibis writes for an expression."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir


def sql_of(expression: ir.Table, dialect: str) -> str:
    """The SQL of an unbound expression, in a dialect by Ibis' name for it; no connection is needed."""
    import ibis

    if dialect == "pyspark":
        _give_options()
    return str(ibis.to_sql(expression, dialect=dialect))


@cache
def _give_options() -> None:
    """Give Ibis the options of Spark, which it looks at for every fraction, and makes only when it connects."""
    import ibis
    from ibis.config import Config

    class Options(Config):  # type: ignore[misc]  # Ibis is not typed
        treat_nan_as_null: bool = False

    if ibis.options.pyspark is None:
        ibis.options.pyspark = Options()
