"""What predicates and mixtures mean, in `pyarrow.compute`, whole columns at a time: a second reference for engines.

It shares no line with `mixtera.testing.reference`, nor with what the compiler makes of a predicate, and reads the same
Parquet files as the engines do. Where the three agree, none of them is wrong alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import count
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mixtera.contracts.properties import PropertyType
from mixtera.formats.values import ARROW_TYPES
from mixtera.spec.model import Grouped, Parts, Spec
from mixtera.spec.predicate import And, Compare, Flag, Has, In, IsNone, Matches, Not, Or, Predicate, TextTest

NO_LABEL: Final = -1
_COMPARE: Final[Mapping[str, str]] = {
    "==": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}
_TEXT: Final[Mapping[str, str]] = {
    "startswith": "starts_with",
    "endswith": "ends_with",
    "contains": "match_substring",
}


def rows_of(name: str, files: Sequence[str], types: Mapping[str, PropertyType]) -> pa.Table:
    """The samples of a source as predicates of a spec see them.

    Args:
        name: Its name, which is the property `dataset`.
        files: Its Parquet files.
        types: The properties of all sources of the spec: one that this source lacks is NULL, or an empty list.
    """
    none = pa.schema([("file_id", pa.int64()), ("row", pa.int64())]).empty_table()
    table = pa.concat_tables([none, *(pq.read_table(file) for file in files)], promote_options="default")
    for column, type_ in types.items():
        if column not in table.column_names:
            table = table.append_column(column, _missing(ARROW_TYPES[type_], len(table)))
    return table.append_column("dataset", pa.repeat(pa.scalar(name), len(table))).combine_chunks()


def _missing(type_: pa.DataType, rows: int) -> pa.Array:
    return pa.array([[]] * rows, type_) if pa.types.is_list(type_) else pa.nulls(rows, type_)


def truth(predicate: Predicate, table: pa.Table) -> pa.Array:
    """[rows] whether a predicate is true of each row; NULL where SQL says so."""
    match predicate:
        case And(terms):
            return reduce(pc.and_kleene, [truth(term, table) for term in terms])
        case Or(terms):
            return reduce(pc.or_kleene, [truth(term, table) for term in terms])
        case Not(term):
            return pc.invert(truth(term, table))
        case IsNone(column, negated):
            return pc.is_valid(_of(table, column)) if negated else pc.is_null(_of(table, column))
        case Matches(column, values) if pa.types.is_list(table.schema.field(column).type):
            return reduce(pc.or_, [_holds(_of(table, column), value) for value in values])
        case Matches(column, values):
            known = [value for value in values if value is not None]
            found = _any_of(_of(table, column), known)
            return found if None not in values else pc.or_kleene(found, pc.is_null(_of(table, column)))
        case In(column, values, negated):
            found = _any_of(_of(table, column), values)
            return pc.invert(found) if negated else found
        case Has(column, value, negated):
            found = _holds(_of(table, column), value)
            return pc.invert(found) if negated else found
        case Compare(column, operator, value):
            array = _of(table, column)
            return pc.call_function(_COMPARE[operator], [array, pa.scalar(value, array.type)])
        case TextTest(column, test, text):
            return getattr(pc, _TEXT[test])(_of(table, column), text)
        case Flag(column):
            return _of(table, column)


def labelled(spec: Spec, table: pa.Table) -> Iterator[tuple[int, int, int]]:
    """File, row and label of every row that the filter keeps; leaves are numbered in the order of the spec.

    Args:
        spec: The spec.
        table: The samples of one of its sources; see `rows_of`.
    """
    label = _labels(spec.mixture.parts, table, count())
    table = table.append_column("label", label)
    if spec.filter is not None:
        table = table.filter(truth(spec.filter, table))  # NULL is dropped
    yield from zip(*(table.column(name).to_pylist() for name in ("file_id", "row", "label")), strict=True)


def _labels(parts: Parts, table: pa.Table, number: Iterator[int]) -> pa.Array:
    """[rows] label of the leaf that takes each row, if it has come as far as to these parts."""
    if isinstance(parts, Grouped):
        return _repeated(next(number), table)
    taken = []
    for component in parts.components:
        inside = _repeated(next(number), table) if component.parts is None else _labels(component.parts, table, number)
        where = _repeated(True, table) if component.where is None else truth(component.where, table)
        taken.append((pc.fill_null(where, False), inside))
    found = _repeated(NO_LABEL, table)
    for mine, inside in reversed(taken):  # the first component that a row matches has the last word
        found = pc.if_else(mine, inside, found)
    return found


def _repeated(value: int, table: pa.Table) -> pa.Array:
    return pa.repeat(pa.scalar(value), len(table))


def _of(table: pa.Table, column: str) -> pa.Array:
    return table.column(column).combine_chunks()


def _any_of(array: pa.Array, values: Sequence[Any]) -> pa.Array:
    """Equality with one after the other: `is_in` tells −0.0 from 0.0."""
    none = pc.if_else(pc.is_valid(array), False, None)
    return reduce(pc.or_kleene, [none, *(pc.equal(array, pa.scalar(value, array.type)) for value in values)])


def _holds(lists: pa.Array, value: Any) -> pa.Array:  # noqa: ANN401 - of the elements' type
    """Whether each list has an element that equals a value; one without elements has not."""
    hits = pc.equal(pc.list_flatten(lists), pa.scalar(value, lists.type.value_type))
    rows = pc.list_parent_indices(lists).filter(hits)
    return pc.is_in(pa.array(range(len(lists)), pa.int64()), rows.cast(pa.int64()))
