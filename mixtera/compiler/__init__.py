"""The compiler: spec → logical plan → Ibis expressions → labels → plan."""

from mixtera.compiler.locking import lock, unindexed
from mixtera.compiler.overlap import Overlap, overlap
from mixtera.compiler.pipeline import compile
from mixtera.compiler.queries import analyze, expressions, sql

__all__ = ["Overlap", "analyze", "compile", "expressions", "lock", "overlap", "sql", "unindexed"]
