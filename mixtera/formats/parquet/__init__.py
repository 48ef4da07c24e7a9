"""Parquet files."""

from __future__ import annotations

from mixtera.formats.parquet.format import Parquet

__all__ = ["Parquet"]
