"""Columns that nothing asks for are not read."""

from __future__ import annotations

from dataclasses import replace

from mixtera.compiler.conditions import over, used_columns
from mixtera.compiler.nodes import Emit


def prune_columns(plan: Emit) -> Emit:
    """Keep the columns of the scan that conditions and groups name."""
    used = frozenset(used_columns(plan))
    columns = tuple(column for column in plan.scan.columns if column[0] in used)
    missing = tuple(column for column in plan.scan.missing if column[0] in used)
    return over(plan, replace(plan.scan, columns=columns, missing=missing))
