"""The compiler: spec → logical plan → Ibis expressions → labels → plan."""

from mixtera.compiler.continuation import Stop
from mixtera.compiler.overlap import Overlap, overlap
from mixtera.compiler.pipeline import compile
from mixtera.compiler.queries import analyze, expressions, sql

__all__ = ["Overlap", "Stop", "analyze", "compile", "expressions", "overlap", "sql"]
