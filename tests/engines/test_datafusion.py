"""DataFusion keeps the laws of an engine."""

from __future__ import annotations

from mixtera.testing.engine import EngineLaws
from mixtera_backends.engines.datafusion import DataFusionEngine


class TestDataFusion(EngineLaws):
    def engine(self) -> DataFusionEngine:
        return DataFusionEngine(threads=2)
