"""JSON lines: one object a line, plain or compressed (gzip, zstd, bz2, xz, lz4)."""

from __future__ import annotations

from mixtera.formats.jsonl.format import Jsonl

__all__ = ["Jsonl"]
