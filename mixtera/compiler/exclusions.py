"""Exclusion lists: which samples are not delivered, by id or by the values of their properties.

An excluded sample keeps its number in the order and loses its place (`mixtera.order.leftout`): the others stand in the
same relative order with the list as without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.compiler.files import FileIndex, Int64s
from mixtera.compiler.matching import rows_of_ids
from mixtera.compiler.rows import Rows
from mixtera.compiler.scratch import scratch
from mixtera.contracts.properties import LIST_TYPES, PropertyType
from mixtera.errors import MixteraError, SpecError
from mixtera.formats.values import ARROW_TYPES
from mixtera.registry import storage_of
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.model import Exclusion

Bools: TypeAlias = npt.NDArray[np.bool_]

SAMPLE: Final = "sample"
LOCATION: Final = ("source", "file", "row")


class Exclusions:
    """The lists of a spec, and the rows that they name."""

    def __init__(
        self,
        exclusions: Sequence[Exclusion],
        types: Mapping[str, PropertyType],
        index: FileIndex,
        sources: Sequence[str],
    ) -> None:
        """Read the lists.

        Args:
            exclusions: What the spec says.
            types: Type of every property.
            index: The files.
            sources: Names of the sources.

        Raises:
            SpecError: A list cannot be read, or has columns that name no sample.
        """
        self._exclusions, self._sources = exclusions, sources
        self.rows: Bools = scratch(index.total_rows, np.bool_) if exclusions else np.zeros(0, np.bool_)
        self._found = [0] * len(exclusions)
        self._sizes = [0] * len(exclusions)
        self._listed: dict[int, Int64s] = {}
        self._matchers: dict[int, _Matcher] = {}
        issues = Issues()
        for number, exclusion in enumerate(exclusions):
            self._read(number, exclusion, types, index, issues)
        if issues.found:
            raise SpecError(issues.found)

    @property
    def columns(self) -> tuple[str, ...]:
        """Properties whose values the lists name."""
        return tuple(dict.fromkeys(name for matcher in self._matchers.values() for name in matcher.names))

    def _read(
        self, number: int, exclusion: Exclusion, types: Mapping[str, PropertyType], index: FileIndex, issues: Issues
    ) -> None:
        try:
            table = _table(exclusion)
        except (OSError, ValueError, KeyError, MixteraError, pa.ArrowException) as error:
            issues.add(exclusion.place, f"exclude: {exclusion.path} cannot be read: {_one_line(error)}")
            return
        self._sizes[number] = table.num_rows
        names = set(table.column_names)
        if not exclusion.columns and SAMPLE in names:
            self._listed[number] = rows_of_ids(_whole(table.column(SAMPLE), exclusion, issues), index)[0]
        elif not exclusion.columns and names >= set(LOCATION):
            self._listed[number] = _by_location(table, index, self._sources)
        elif (matcher := _matcher(table, exclusion, types, issues)) is not None:
            self._matchers[number] = matcher

    def see(self, source: int, rows: Rows) -> None:
        """Take in the rows of a source that pass the filter, and mark those that a list names."""
        if not len(rows.number):
            return
        for number, listed in self._listed.items():
            low, high = np.searchsorted(listed, [rows.number[0], rows.number[-1] + 1])
            self._mark(number, rows.number[np.isin(rows.number, listed[low:high], assume_unique=True)])
        for number, matcher in self._matchers.items():
            self._mark(number, rows.number[matcher.matches(rows.groups, len(rows.number), self._sources[source])])

    def _mark(self, number: int, rows: Int64s) -> None:
        self._found[number] += len(rows)
        self.rows[rows] = True

    def check(self) -> None:
        """Refuse lists that match nothing: they are mistakes, and the samples that they mean would be delivered.

        Raises:
            SpecError: Names every such list.
        """
        issues = Issues()
        for number, exclusion in enumerate(self._exclusions):
            if not self._found[number]:
                by = self._matchers[number].names if number in self._matchers else ("their ids",)
                issues.add(
                    exclusion.place,
                    f"exclude: none of the {self._sizes[number]:,} entries of {exclusion.path} matches a sample that "
                    f"passes the filter (compared by {', '.join(by)}); name the right table or columns, or remove it",
                )
        if issues.found:
            raise SpecError(issues.found)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _table(exclusion: Exclusion) -> pa.Table:
    """The table, with only the columns that are asked for where the spec says so."""
    path = exclusion.path
    wanted = [column for _, column in exclusion.columns] or None
    with storage_of(path).open(path) as file:
        if path.lower().endswith(".parquet"):
            import pyarrow.parquet as pq

            return pq.read_table(file, columns=wanted, use_threads=False)
        if path.lower().endswith(".csv"):
            import pyarrow.csv

            table = pyarrow.csv.read_csv(file)
        elif path.lower().endswith(".jsonl"):
            import pyarrow.json

            table = pyarrow.json.read_json(file)
        else:
            table = pa.ipc.open_file(file.read()).read_all()
    return table if wanted is None else table.select(wanted)


def _whole(column: pa.ChunkedArray, exclusion: Exclusion, issues: Issues) -> Int64s:
    if not pa.types.is_integer(column.type):
        issues.add(
            exclusion.place,
            f"exclude: the column {SAMPLE!r} of {exclusion.path} is {column.type}; sample ids are int64, as "
            "`plan.samples` and batches have them",
        )
        return np.empty(0, np.int64)
    found: Int64s = column.drop_null().cast(pa.int64()).to_numpy()
    return found


def _by_location(table: pa.Table, index: FileIndex, sources: Sequence[str]) -> Int64s:
    """Sources, files and rows as rows among all rows, ascending."""
    table = table.select(list(LOCATION)).drop_null()
    owner, name = (index.table.column(column).to_pylist() for column in ("source", "name"))
    files = {(sources[source], file): number for number, (source, file) in enumerate(zip(owner, name, strict=True))}
    source, file = (table.column(column).combine_chunks().dictionary_encode() for column in LOCATION[:2])
    pair = source.indices.to_numpy().astype(np.int64) * max(1, len(file.dictionary)) + file.indices.to_numpy()
    row = table.column("row").cast(pa.int64()).to_numpy()
    distinct, which = np.unique(pair, return_inverse=True)
    owners, names = source.dictionary.to_pylist(), file.dictionary.to_pylist()
    named = [(owners[one // len(names)], names[one % len(names)]) for one in distinct.tolist()]
    number = np.array([files.get(name, -1) for name in named], np.int64)[which]
    mine = (number >= 0) & (row >= 0)
    number, row = number[mine], row[mine]
    inside = row < index.rows[number]
    return np.unique(index.first[number[inside]] + row[inside])


def _matcher(
    table: pa.Table, exclusion: Exclusion, types: Mapping[str, PropertyType], issues: Issues
) -> _Matcher | None:
    pairs = exclusion.columns or tuple((name, name) for name in table.column_names)
    known = {**types, "dataset": "string"}
    good = True
    values = []
    for name, column in pairs:
        kind = known.get(name)
        if kind is None or kind in LIST_TYPES:
            what = "no property" if kind is None else f"{kind}, not one value"
            hint = suggestion(name, sorted(known), "properties")
            issues.add(
                exclusion.place,
                f"exclude: the column {name!r} of {exclusion.path} is {what}; ids are a column {SAMPLE!r}, or "
                f"{', '.join(LOCATION)}; or say which property it is: columns: {{property: {column}}}{hint}",
            )
            good = False
            continue
        try:
            values.append((name, table.column(column).combine_chunks().cast(ARROW_TYPES[kind])))
        except pa.ArrowException:
            found = table.column(column).type
            issues.add(
                exclusion.place, f"exclude: the column {column!r} of {exclusion.path} is {found}, {name} is {kind}"
            )
            good = False
    return _Matcher(values) if good and values else None


class _Matcher:
    """Finds rows whose properties have the values of some row of a table."""

    def __init__(self, columns: Sequence[tuple[str, pa.Array]]) -> None:
        table = pa.table(dict(columns)).drop_null()
        self.names = tuple(name for name, _ in columns)
        self._distinct: list[pa.Array] = [table.column(name).combine_chunks().unique() for name in self.names]
        self._prefixes: list[Int64s] = []
        codes = np.zeros(table.num_rows, np.int64)
        for distinct, name in zip(self._distinct, self.names, strict=True):
            codes = codes * max(1, len(distinct)) + _places(table.column(name).combine_chunks(), distinct)
            prefix, codes = np.unique(codes, return_inverse=True)
            self._prefixes.append(prefix)

    def matches(self, columns: pa.RecordBatch, count: int, source: str) -> Bools:
        """Which of some rows are named; `columns` lacks the properties that their source lacks."""
        values: list[Any] = []
        for name in self.names:
            if name == "dataset":
                values.append(pa.repeat(source, count))
            elif name in columns.schema.names:
                values.append(columns.column(name))
            else:
                return np.zeros(count, np.bool_)
        codes, known = np.zeros(count, np.int64), np.ones(count, np.bool_)
        for distinct, prefix, column in zip(self._distinct, self._prefixes, values, strict=True):
            place = _places(column.cast(distinct.type), distinct)
            codes = codes * max(1, len(distinct)) + np.maximum(place, 0)
            at = np.minimum(np.searchsorted(prefix, codes), max(0, len(prefix) - 1))
            known &= (place >= 0) & (prefix[at] == codes if len(prefix) else False)
            codes = at
        return known


def _places(column: pa.Array, distinct: pa.Array) -> Int64s:
    """Where each value stands among the distinct ones; −1 for none of them, and for NULL."""
    import pyarrow.compute as pc

    place = pc.index_in(column, value_set=distinct, skip_nulls=True).fill_null(-1)
    found: Int64s = place.to_numpy(zero_copy_only=False).astype(np.int64)
    return found
