"""DuckDB keeps the laws of an engine."""

from mixtera.testing.engine import EngineLaws
from mixtera_backends.engines.duckdb import DuckDBEngine


class TestDuckDB(EngineLaws):
    def engine(self) -> DuckDBEngine:
        return DuckDBEngine(threads=1)
