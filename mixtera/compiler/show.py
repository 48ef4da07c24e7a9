"""Conditions and plans as text, in the language of the spec: for `explain`, and for people who read rules."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from mixtera.compiler.nodes import Condition, Constant, Emit, Outcome, Take
from mixtera.spec.predicate import And, Compare, Flag, Has, In, IsNone, Literal_, Matches, Not, Or, TextTest


def show(condition: Condition) -> str:
    """A condition as an expression of the spec's language (the mapping form as it is written in YAML)."""
    match condition:
        case Constant(value):
            return str(value)
        case And(terms):
            return " and ".join(map(_term, terms))
        case Or(terms):
            return " or ".join(map(_term, terms))
        case Not(term):
            return f"not {_term(term)}"
        case _:
            return _leaf(condition)


def _term(term: Condition) -> str:
    return f"({show(term)})" if isinstance(term, (And, Or)) else show(term)


def _leaf(node: Compare | In | Has | IsNone | TextTest | Flag | Matches) -> str:
    match node:
        case Compare(column, op, value):
            return f"{column} {op} {_value(value)}"
        case In(column, values, negated):
            listed = ", ".join(map(_value, values)) + ("," if len(values) == 1 else "")
            return f"{column} {'not in' if negated else 'in'} ({listed})"
        case Has(column, value, negated):
            return f"{_value(value)} {'not in' if negated else 'in'} {column}"
        case IsNone(column, negated):
            return f"{column} is {'not ' if negated else ''}None"
        case TextTest(column, test, text):
            return f"{column}.{test}({_value(text)})"
        case Flag(column):
            return column
        case Matches(column, values):
            return f"{{{column}: [{', '.join('null' if value is None else _value(value) for value in values)}]}}"


def _value(value: Literal_) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    if isinstance(value, datetime.date):
        return f'"{value.isoformat()}"'
    return repr(value)


def show_plan(plan: Emit) -> str:
    """A logical plan as an indented tree, one node a line."""
    return "\n".join(_lines(plan))


def _lines(plan: Emit) -> Iterator[str]:
    scan = plan.scan
    named = [f"{name}: {type_}" for name, type_ in scan.columns]
    lacks = f" lacks [{', '.join(name for name, _ in scan.missing)}]" if scan.missing else ""
    marks = [f"{name}: {show(condition)}" for name, condition in plan.marks]
    bytes_ = ("offset", "length") if plan.offsets else ()
    yield ", ".join(["emit file_id", "row", *bytes_, "label", *plan.by, *marks])
    yield "  assign"
    yield from _outcome(plan.input.outcome, "    ")
    if plan.filter != Constant(True):
        yield f"  select {show(plan.filter)}"
    yield f"  scan {scan.source} [{', '.join(named)}]{lacks}"


def _outcome(outcome: Outcome, indent: str) -> Iterator[str]:
    if isinstance(outcome, Take):
        yield f"{indent}{outcome.label}"
        return
    if not outcome.branches:
        yield f"{indent}nothing"
    for branch in outcome.branches:
        then = f": {branch.then.label}" if isinstance(branch.then, Take) else ""
        yield f"{indent}when {show(branch.condition)}{then}"
        if not then:
            yield from _outcome(branch.then, indent + "  ")
