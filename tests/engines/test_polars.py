"""Polars keeps the laws of an engine."""

from __future__ import annotations

from mixtera.testing.engine import EngineLaws
from mixtera_backends.engines.polars import PolarsEngine


class TestPolars(EngineLaws):
    def engine(self) -> PolarsEngine:
        return PolarsEngine()
