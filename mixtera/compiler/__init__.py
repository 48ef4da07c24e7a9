"""The compiler: spec → logical plan → Ibis expressions → labels → plan."""

from mixtera.compiler.locking import lock, unindexed
from mixtera.compiler.overlap import Overlap, overlap
from mixtera.compiler.pipeline import compile
from mixtera.compiler.queries import analyze, expressions, sql
from mixtera.compiler.stop import Stop

__all__ = ["Overlap", "Stop", "analyze", "compile", "expressions", "lock", "overlap", "sql", "unindexed"]
