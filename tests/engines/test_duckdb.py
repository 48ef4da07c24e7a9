"""DuckDB keeps the laws of an engine."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import ibis
import pyarrow as pa

from mixtera.testing.engine import EngineLaws
from mixtera_backends.engines.duckdb import DuckDBEngine


class TestDuckDB(EngineLaws):
    def engine(self) -> DuckDBEngine:
        return DuckDBEngine(threads=1)


def test_a_moment_is_asked_about_where_there_are_no_rows() -> None:
    """Over an Arrow table, DuckDB would have handed the filter to pyarrow, and failed without the package pytz."""
    schema = pa.schema([("row", pa.int64()), ("moment", pa.timestamp("us", "UTC"))])
    table = ibis.table({"row": "int64", "moment": "timestamp('UTC')"}, name="web")
    with closing(DuckDBEngine()) as engine:
        engine.register({"web": []}, {"web": schema})
        moments = [ibis.literal(datetime(year, 1, 1, tzinfo=UTC), "timestamp('UTC')") for year in (2024, 2025)]
        asked = table.filter(table.moment.isin(moments))
        assert sum(batch.num_rows for batch in engine.batches(asked.select("row"))) == 0
