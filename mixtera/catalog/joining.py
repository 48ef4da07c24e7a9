"""Rows of the catalog with what sidecar tables know of them.

A table is streamed past a block of rows, and only its rows that belong to them are kept: so memory is bounded by the
block, whatever the size of the table, and a table is read once for each block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mixtera.arrow import from_numpy, to_numpy
from mixtera.catalog.derivation import BasedFile, Derivation
from mixtera.catalog.derived import SidecarTable
from mixtera.catalog.sidecars import table_batches
from mixtera.contracts.format import PropertyColumn
from mixtera.errors import CatalogError
from mixtera.formats.columnar.convert import convert
from mixtera.formats.columnar.pieces import shown_value
from mixtera.formats.columnar.schema import check_convertible, plain_type
from mixtera.formats.values import ARROW_TYPES, clean

BLOCK_ROWS: Final = 1 << 21
"""Rows for which a table is read once."""
LOOKUP_ROWS: Final = 1 << 20
"""Rows of a table that are looked up at once."""
ROW_BITS: Final = 31

Part: TypeAlias = tuple[BasedFile, pa.RecordBatch]
Int64s: TypeAlias = npt.NDArray[np.int64]


class Joiner:
    """Joins the sidecars of a piece; counts the samples that they know."""

    def __init__(self, piece: Derivation) -> None:
        self._piece = piece
        self._files = {file.alias: file.file_id for file in piece.files if file.alias}
        self._files |= {file.info.name: file.file_id for file in piece.files}
        self.matched = {number: 0 for number, table in enumerate(piece.sidecars) if table.columns}

    def joined(self, parts: Iterator[Part]) -> Iterator[Part]:
        """The rows with the properties that the sidecars bring.

        Raises:
            CatalogError: A table cannot be read, lacks a column, contradicts itself, or has values of another type.
        """
        for block in _blocks(parts):
            rows = pa.Table.from_batches([batch for _, batch in block]).combine_chunks()
            more: dict[str, pa.Array] = {}
            for number in self.matched:
                more |= self._values(number, rows)
            first = 0
            for file, batch in block:
                own = {name: values.slice(first, batch.num_rows) for name, values in more.items()}
                arrays, names = [*batch.columns, *own.values()], [*batch.schema.names, *own]
                yield file, pa.RecordBatch.from_arrays(arrays, names=names)
                first += batch.num_rows

    def _values(self, number: int, rows: pa.Table) -> dict[str, pa.Array]:
        table = self._piece.sidecars[number]
        keys = _positions(rows) if table.by_row else _whole(rows.column(table.on[0][0]))
        found = _Lookup(table, pc.unique(keys.drop_null()))
        for key, values in self._rows(number, keys.type):
            found.see(key, values)
        place = found.of(keys)
        self.matched[number] += int((place >= 0).sum())
        return found.values(place)

    def _rows(self, number: int, kind: pa.DataType) -> Iterator[tuple[pa.Array, pa.Table]]:
        """Keys and values of a table, many at once."""
        table = self._piece.sidecars[number]
        names = [column for _, column in table.on]
        paths = [column.path for column in table.columns]
        types = {column.path: ARROW_TYPES[column.type] for column in table.columns}
        types |= dict(zip(names, (pa.string(), pa.int64()) if table.by_row else (kind,), strict=True))
        for file in self._piece.tables[number]:
            what = f"the sidecar {file.url}"
            for some in _many(table_batches(file, [*names, *paths], types, self._piece.storage)):
                keys = [_whole(some.column(name)) for name in names]
                key = (
                    self._named(keys[0], keys[1], table, what)
                    if table.by_row
                    else _id(keys[0], kind, table.on[0], what)
                )
                values = [_typed(_whole(some.column(c.path)), c, what) for c in table.columns]
                yield key, pa.table(values, names=[column.name for column in table.columns])

    def _named(self, files: pa.Array, rows: pa.Array, table: SidecarTable, what: str) -> pa.Array:
        """Files and rows as positions; NULL for those of other files."""
        (_, file_column), (_, row_column) = table.on
        if not pa.types.is_integer(rows.type):
            raise CatalogError(f"{what}: the column {row_column!r} is {rows.type}; a row is a number, from 0")
        if not pa.types.is_string(plain_type(files.type)):
            raise CatalogError(f"{what}: the column {file_column!r} is {files.type}; a file is a name")
        encoded = files if pa.types.is_dictionary(files.type) else files.dictionary_encode()
        names = encoded.dictionary.to_pylist()
        if unclear := sorted(set(names) & set(self._piece.ambiguous)):
            raise CatalogError(
                f"{what}: several files of source {self._piece.source!r} are named {unclear[0]!r}; "
                f"give their paths below the fixed part of the pattern in the column {file_column!r}"
            )
        ids = np.array([*(self._files.get(name, -1) for name in names), -1], np.int64)
        file = ids[to_numpy(encoded.indices.cast(pa.int64()).fill_null(len(names))).astype(np.int64)]
        row = to_numpy(rows.cast(pa.int64()).fill_null(-1)).astype(np.int64)
        mine = (file >= 0) & (row >= 0) & (row < 1 << ROW_BITS)
        return pa.array(np.where(mine, file << ROW_BITS | row, 0), mask=~mine)


class _Lookup:
    """Rows of a table by their key, as far as they belong to some samples."""

    def __init__(self, table: SidecarTable, keys: pa.Array) -> None:
        self._table, self._keys = table, keys
        self._places: list[Int64s] = []
        self._rows: list[pa.Table] = []

    def see(self, key: pa.Array, values: pa.Table) -> None:
        """Keep the rows whose key is one of those that are looked for."""
        place = pc.index_in(key, value_set=self._keys, skip_nulls=True)
        known = place.is_valid()
        if pc.any(known).as_py():
            self._places.append(to_numpy(place.filter(known)).astype(np.int64))
            self._rows.append(values.filter(known))

    def of(self, keys: pa.Array) -> Int64s:
        """The number of each sample's row among those kept; −1 where the table does not know it.

        Raises:
            CatalogError: The table has several rows of one key, with different values.
        """
        where = np.full(len(self._keys) + 1, -1, np.int64)
        if self._places:
            places = np.concatenate(self._places)
            order = np.argsort(places, kind="stable")
            twice = np.flatnonzero(places[order][1:] == places[order][:-1])
            self._check(order[twice], order[twice + 1], places)
            where[places[order[::-1]]] = order[::-1]
        code = pc.index_in(keys, value_set=self._keys, skip_nulls=True).fill_null(len(self._keys))
        return where[to_numpy(code).astype(np.int64)]

    def _check(self, first: Int64s, second: Int64s, places: Int64s) -> None:
        if not len(first):
            return
        whole = pa.concat_tables(self._rows)
        one, other = (whole.take(from_numpy(rows)).to_pylist() for rows in (first, second))  # they are few
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            if left != right:
                key = self._keys[int(places[first[number]])].as_py()
                named = f"row {key & (1 << ROW_BITS) - 1} of one file" if self._table.by_row else f"the id {key!r}"
                raise CatalogError(
                    f"the sidecar {self._table.shown} has {named} twice, with different values: {left} and {right}; "
                    "nothing was changed: take one of them out"
                )

    def values(self, place: Int64s) -> dict[str, pa.Array]:
        """The values of the samples, NULL where the table does not know them."""
        if not self._rows:
            return {c.name: clean(pa.nulls(len(place), ARROW_TYPES[c.type])) for c in self._table.columns}
        indices = pa.array(place, mask=place < 0)
        whole = pa.concat_tables(self._rows).take(indices)
        return {name: clean(_whole(whole.column(name))) for name in whole.column_names}


def _positions(rows: pa.Table) -> pa.Array:
    file, row = (to_numpy(rows.column(name)).astype(np.int64) for name in ("file_id", "row"))
    return from_numpy(file << ROW_BITS | row)


def _id(key: pa.Array, kind: pa.DataType, on: tuple[str, str], what: str) -> pa.Array:
    plain = key.dictionary_decode() if pa.types.is_dictionary(key.type) else key
    found = plain_type(plain.type)
    if not (
        found.equals(kind) or (pa.types.is_integer(found) and pa.types.is_integer(kind)) or pa.types.is_null(found)
    ):
        raise CatalogError(f"{what}: the column {on[1]!r} is {key.type}, and the property {on[0]!r} is {kind}")
    return plain.cast(kind)


def _typed(values: pa.Array, column: PropertyColumn, what: str) -> pa.Array:
    named = f"{what}: the column {column.path!r}"
    check_convertible(values.type, column.type, named)
    array, failing = convert(values, ARROW_TYPES[column.type])
    if len(failing):
        shown = shown_value(values[int(failing[0])])
        raise CatalogError(f"{named} has {shown!r}, which is no {column.type}; correct it, or declare another type")
    return array


def _whole(column: Any) -> pa.Array:  # noqa: ANN401 - pyarrow has no types
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)


def _blocks(parts: Iterator[Part]) -> Iterator[Sequence[Part]]:
    block: list[Part] = []
    rows = 0
    for part in parts:
        block.append(part)
        rows += part[1].num_rows
        if rows >= BLOCK_ROWS:
            yield block
            block, rows = [], 0
    if block:
        yield block


def _many(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches put together, since each look-up costs something of its own."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= LOOKUP_ROWS:
            yield pa.Table.from_batches(waiting)
            waiting, rows = [], 0
    if rows:
        yield pa.Table.from_batches(waiting)
