"""ClickHouse in process keeps the laws of an engine. It is large, so that it is tested where it is installed."""

from __future__ import annotations

import importlib.util

import pytest

from mixtera.testing.engine import EngineLaws
from mixtera_backends.engines.clickhouse import ClickHouseEngine


@pytest.mark.skipif(
    importlib.util.find_spec("chdb") is None, reason="chDB is not installed: pip install 'mixtera[clickhouse]'"
)
class TestClickHouse(EngineLaws):
    def engine(self) -> ClickHouseEngine:
        return ClickHouseEngine(threads=2)
