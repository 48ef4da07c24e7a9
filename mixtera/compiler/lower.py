"""Logical plan → one unbound Ibis expression: filter, then nested CASE, then a projection. Any engine can run it."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from mixtera.compiler.keyed import BYTES as BYTES
from mixtera.compiler.keyed import IBIS_TYPES, keyed_table
from mixtera.compiler.keyed import POSITION as POSITION
from mixtera.compiler.nodes import NO_LABEL, Condition, Constant, Emit, Outcome, Scan, Select, Take
from mixtera.contracts.properties import PropertyType
from mixtera.formats.values import ARROW_TYPES
from mixtera.spec.predicate import And, Compare, Flag, Has, In, IsNone, Literal_, Matches, Not, Or, TextTest

if TYPE_CHECKING:
    import ibis.expr.types as ir

_COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def arrow_schema(types: Mapping[str, PropertyType]) -> pa.Schema:
    """Schema of a catalog table with these properties."""
    fixed = [pa.field(name, pa.int64()) for name in (*POSITION, *BYTES)]
    return pa.schema([*fixed, *(pa.field(name, ARROW_TYPES[type_]) for name, type_ in types.items())])


def lower(plan: Emit) -> ir.Table:
    """The expression of a plan: file_id, row, offset and length, label (int32), columns beside it, and marks."""
    table = selected(plan)
    own = dict(plan.scan.columns)
    by = {name: table[name] for name in plan.by if name in own}
    label = _outcome(plan.input.outcome, table, own).cast("int32")
    columns = {name: table[name] for name in (POSITION + BYTES if plan.offsets else POSITION)}
    marks = {name: condition(mark, table, own) for name, mark in plan.marks}
    return table.select(**columns, label=label, **by, **marks)


def selected(plan: Emit) -> ir.Table:
    """The samples of a plan that pass its filter, with the columns of its scan."""
    table = scanned(plan.scan)
    if isinstance(plan.input.input, Select):
        return table.filter(condition(plan.input.input.condition, table, dict(plan.scan.columns)))
    return table


def scanned(scan: Scan) -> ir.Table:
    """The samples of a scan, with file_id, row, offset, length and its properties."""
    import ibis

    if scan.keyed is not None:
        return keyed_table(scan.table, scan.columns, scan.keyed)
    fixed = dict.fromkeys((*POSITION, *BYTES), "int64")
    return ibis.table({**fixed, **{name: IBIS_TYPES[type_] for name, type_ in scan.columns}}, name=scan.table)


def _outcome(outcome: Outcome, table: ir.Table, own: Mapping[str, PropertyType]) -> ir.IntegerValue:
    import ibis

    if isinstance(outcome, Take):
        return ibis.literal(outcome.label, "int32")
    cases, otherwise = [], ibis.literal(NO_LABEL, "int32")
    for branch in outcome.branches:
        then = _outcome(branch.then, table, own)
        if branch.condition == Constant(True):
            otherwise = then
            break
        cases.append((condition(branch.condition, table, own), then))
    return ibis.cases(*cases, else_=otherwise) if cases else otherwise


def condition(node: Condition, table: ir.Table, own: Mapping[str, PropertyType]) -> ir.BooleanValue:
    """A condition over a table that has the columns `own`; others are NULL."""
    import ibis

    match node:
        case Constant(value):
            return ibis.literal(value)
        case And(terms):
            return functools.reduce(operator.and_, [condition(term, table, own) for term in terms])
        case Or(terms):
            return functools.reduce(operator.or_, [condition(term, table, own) for term in terms])
        case Not(term):
            return ~condition(term, table, own)
        case Matches():
            raise AssertionError("the mapping form is expanded before lowering")
        case _ if node.column not in own:
            return ibis.null("boolean")
        case _:
            return _leaf(node, table[node.column], own[node.column])


def _leaf(
    node: Compare | In | Has | IsNone | TextTest | Flag, column: ir.Value, type_: PropertyType
) -> ir.BooleanValue:
    match node:
        case Compare(_, op, value):
            return _COMPARE[op](column, _literal(value, type_))
        case In(_, values, negated):
            inside = column.isin([_literal(value, type_) for value in values])
            return ~inside if negated else inside
        case Has(_, value, negated):
            inside = column.contains(_literal(value, type_)).fill_null(False)
            return ~inside if negated else inside
        case IsNone(_, negated):
            return column.notnull() if negated else column.isnull()
        case TextTest(_, test, value):
            return getattr(column, test)(value)
        case Flag():
            return column


def _literal(value: Literal_, type_: PropertyType) -> ir.Value:
    import ibis

    if isinstance(value, float):
        value += 0.0  # 0.0 for −0.0, as in the catalog: some engines tell the two apart
    return ibis.literal(value, IBIS_TYPES[type_].removeprefix("array<").removesuffix(">"))
