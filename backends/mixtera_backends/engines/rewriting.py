"""Expressions in other words, for engines that misread some: what they mean stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import ibis.expr.operations as ops
    import ibis.expr.types as ir

Change: TypeAlias = "Callable[[ops.Node], ops.Node]"


def rewritten(expression: ir.Table, change: Change) -> ir.Table:
    """An expression whose every node is what `change` makes of it, from the bottom up."""

    def replace(node: ops.Node, arguments: dict[str, Any] | None) -> ops.Node:
        return change(node.__recreate__(arguments) if arguments else node)

    return expression.op().replace(replace).to_expr()
