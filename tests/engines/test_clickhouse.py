"""ClickHouse in process keeps the laws of an engine. It is large, so that it is tested where it is installed."""

from __future__ import annotations

import pytest

from mixtera.testing.engine import EngineLaws
from mixtera_backends.engines.clickhouse import ClickHouseEngine

pytest.importorskip("chdb", reason="chDB is not installed: pip install 'mixtera[clickhouse]'")


class TestClickHouse(EngineLaws):
    def engine(self) -> ClickHouseEngine:
        return ClickHouseEngine(threads=2)
