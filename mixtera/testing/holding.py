"""Laws of engines whose databases have tables that sources can name."""

from __future__ import annotations

import datetime
from abc import ABC, abstractmethod
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import ibis
import pyarrow as pa
import pytest

from mixtera.contracts.engine import Engine
from mixtera.contracts.holding import HeldTable, Holding, held_in
from mixtera.contracts.properties import PropertyType
from mixtera.errors import CatalogError
from mixtera.formats.values import ARROW_TYPES

_MOMENT: Final = datetime.datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=datetime.UTC)
VALUES: Final[dict[str, tuple[PropertyType, list[Any]]]] = {
    "words": ("string", ["a", "A", "", None, 'ﬁ "x",\n\\N']),
    "Count": ("int64", [0, -(2**62), 2**62, None, 7]),
    "share": ("float64", [0.5, 1e300, -1.5, None, 5e-324]),
    "flag": ("bool", [True, False, None, True, False]),
    "day": ("date", [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), None, _MOMENT.date(), _MOMENT.date()]),
    "seen": ("timestamp", [_MOMENT, _MOMENT - datetime.timedelta(microseconds=1), None, _MOMENT, _MOMENT]),
    "topics": ("list<string>", [["a", "b"], ["b", "a"], [], None, ["", 'x"y,\\z']]),
    "numbers": ("list<int64>", [[1], [1, 1], [], None, [-(2**62)]]),
}
"""Column → its type and values; no two rows are the same."""


def table_of(values: dict[str, list[Any]]) -> pa.Table:
    """Values of the columns of `VALUES`."""
    return pa.table({name: pa.array(column, ARROW_TYPES[VALUES[name][0]]) for name, column in values.items()})


class HoldingLaws(ABC):
    """Subclass it with an engine, and a way to keep a table in a database of it."""

    @abstractmethod
    def engine(self) -> Engine:
        """A new session."""

    @abstractmethod
    def keep(self, table: pa.Table, folder: Path) -> HeldTable:
        """Write a table into a database, in place of the one that is there; without its columns or pin.

        Args:
            table: The table; its columns are of the types of properties.
            folder: A directory for a database that is a file.
        """

    def _kept(self, folder: Path, **changed: list[Any]) -> HeldTable:
        values = {name: column for name, (_, column) in VALUES.items()}
        held = self.keep(table_of({**values, **changed}), folder)
        return replace(held, columns=tuple((name, type_) for name, (type_, _) in VALUES.items()))

    def _pin(self, table: HeldTable) -> str:
        with closing(self.engine()) as engine:
            assert isinstance(engine, Holding)
            return engine.held_pin(table)

    def test_columns_are_known_by_their_types(self, tmp_path: Path) -> None:
        """Types of the database are those of properties."""
        with closing(self.engine()) as engine:
            assert isinstance(engine, Holding)
            assert held_in(engine) in ("server", "file")
            found = engine.held_columns(self._kept(tmp_path))
        assert {column.name: column.type for column in found} == {name: type_ for name, (type_, _) in VALUES.items()}

    def test_rows_come_as_properties(self, tmp_path: Path) -> None:
        """Every value, whatever it is, and one column alone too."""
        table = self._kept(tmp_path)
        with closing(self.engine()) as engine:
            assert isinstance(engine, Holding)
            pinned = replace(table, pin=engine.held_pin(table))
            for names in (list(VALUES), *([name] for name in VALUES)):
                batches = list(engine.held_rows(pinned, names))
                rows = [row for batch in batches for row in batch.to_pylist()]
                expected = table_of({name: VALUES[name][1] for name in names})
                assert sorted(map(repr, rows)) == sorted(map(repr, expected.to_pylist()))
                assert {batch.schema for batch in batches} == {expected.schema}

    def test_the_pin_knows_every_value_and_no_order(self, tmp_path: Path) -> None:
        """It changes with each column, with values that change places between rows, with a row more; not by order."""
        first = self._pin(self._kept(tmp_path))
        assert self._pin(self._kept(tmp_path, **{name: column[::-1] for name, (_, column) in VALUES.items()})) == first
        changed = {
            name: self._pin(self._kept(tmp_path, **{name: column[1:] + column[:1]}))
            for name, (_, column) in VALUES.items()
        }
        assert len({first, *changed.values()}) == len(VALUES) + 1, changed
        more = {name: [*column, column[3]] for name, (_, column) in VALUES.items()}
        assert self._pin(self._kept(tmp_path, **more)) != first
        pins = {self._pin(self._kept(tmp_path, Count=[value] * 5)) for value in (0, 1, -1, 1 << 32, (1 << 32) + 1)}
        assert len(pins) == 5

    def test_no_row_of_another_state_is_told(self, tmp_path: Path) -> None:
        """What is not as its pin says is an error before the first row."""
        table = self._kept(tmp_path)
        pinned = replace(table, pin=self._pin(table))
        self._kept(tmp_path, words=["b", *VALUES["words"][1][1:]])
        with closing(self.engine()) as engine, pytest.raises(CatalogError, match="is not what `mixtera index` pinned"):
            _told(engine, pinned)
        self._kept(tmp_path)
        with closing(self.engine()) as engine:
            assert _told(engine, pinned) == ["b"]

    def test_a_table_that_is_not_there(self, tmp_path: Path) -> None:
        """It is named, with those that are there."""
        table = self._kept(tmp_path)
        with closing(self.engine()) as engine:
            assert isinstance(engine, Holding)
            with pytest.raises(CatalogError, match=rf"there is none, .*{table.name}"):
                engine.held_columns(replace(table, name=f"{table.name}s"))


def _told(engine: Engine, table: HeldTable) -> list[str]:
    """The first topic of the rows with the text "A", by an expression."""
    assert isinstance(engine, Holding)
    engine.hold("web", table)
    known = ibis.table(ibis.Schema.from_pyarrow(table_of({name: [] for name in VALUES}).schema), name="web")
    asked = known.filter((known.words == "A") & known.topics.contains("a")).select(found=known.topics[0])
    return [row["found"] for batch in engine.batches(asked) for row in batch.to_pylist()]
