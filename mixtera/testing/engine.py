"""The laws of an engine. A plugin's tests subclass `EngineLaws` and say how a session is made.

::

    class TestMine(EngineLaws):
        def engine(self) -> MyEngine:
            return MyEngine()

What an engine cannot do, it declares (`mixtera.contracts.engine.Gap`). A gap is strict: the law wants the error that is
declared, and fails where there is none.
"""

from __future__ import annotations

import datetime
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import hypothesis.strategies as st
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from mixtera.compiler.build import build
from mixtera.compiler.leaves import leaves
from mixtera.compiler.lower import arrow_schema, condition, lower
from mixtera.compiler.nodes import Emit
from mixtera.compiler.pipeline import session
from mixtera.compiler.queries import printed
from mixtera.compiler.rewrite import rewrite_plan
from mixtera.compiler.rules import RESOLVING
from mixtera.contracts.engine import CAPABILITIES, Engine, gaps_of
from mixtera.contracts.properties import PROPERTY_TYPES, PropertyType
from mixtera.errors import EngineError
from mixtera.spec.model import Spec
from mixtera.spec.predicate import In, Predicate
from mixtera.testing import arrow_reference, grid
from mixtera.testing.catalog import MadeCatalog, MadeFile, MadeSource
from mixtera.testing.reference import holds, leaf_of, leaf_paths, passes
from mixtera.testing.strategies import asked, made_sources, specs

_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)


class EngineLaws(ABC):
    """What every engine must do.

    Attributes:
        examples: Random mixtures that are tried; fewer for an engine whose queries take seconds.
    """

    examples: ClassVar[int] = 50

    @abstractmethod
    def engine(self) -> Engine:
        """A new session."""

    def test_labels_are_those_of_the_reference(self) -> None:
        """Random mixtures over random sources: the same rows with the same labels as one sample at a time in Python,
        and as whole columns in pyarrow.
        """

        @settings(max_examples=self.examples, deadline=None, suppress_health_check=_SLOW)
        @given(data=st.data())
        def law(data: st.DataObject) -> None:
            made = data.draw(made_sources())
            spec = data.draw(specs(made))
            with TemporaryDirectory() as directory:
                catalog = MadeCatalog(Path(directory), made)
                indexed = [catalog.source(source) for source in spec.sources]
                built = build(spec, indexed)
                with closing(self.engine()) as engine, session(engine, built) as running, _refusing(engine):
                    for source, plan in zip(made, built, strict=True):
                        expected = _expected(spec, made, source)
                        assert _expected_by_arrow(spec, made, source.name, plan.indexed.data_files) == expected
                        assert _rows(running, rewrite_plan(plan.plan, RESOLVING)) == expected
                        assert _rows(running, rewrite_plan(plan.plan)) == expected

        law()  # one function for each class: hypothesis wants the laws of two engines apart

    @pytest.mark.parametrize("type_", PROPERTY_TYPES)
    def test_values_come_back(self, tmp_path: Path, type_: PropertyType) -> None:
        """Extremes, NULL, empty texts and lists: what leaves the engine is what the files hold."""
        values = grid.values(type_)
        source = MadeSource("web", {"value": type_}, [MadeFile("a", 1, [{"value": value} for value in values])])
        with closing(self.engine()) as engine:
            table = _registered(engine, tmp_path, source)
            found = {row["row"]: row["value"] for row in _answer(engine, table.select("row", "value"))}
        assert [found[row] for row in range(len(values))] == values

    @pytest.mark.parametrize("type_", PROPERTY_TYPES)
    def test_every_comparison_is_that_of_the_reference(self, tmp_path: Path, type_: PropertyType) -> None:
        """Each operator with each awkward value: true, false or NULL, as in plain Python, and as in pyarrow."""
        values, asked = grid.values(type_), list(grid.predicates("value", type_))
        source = MadeSource("web", {"value": type_}, [MadeFile("a", 1, [{"value": value} for value in values])])
        with closing(self.engine()) as engine:
            indexed = MadeCatalog(tmp_path, [source]).source(source.source)
            table = _registered(engine, tmp_path, source)
            if "any_year" in gaps_of(engine):
                asked = [predicate for predicate in asked if not _is_of_a_far_year(predicate)]
            columns = {str(n): condition(predicate, table, {"value": type_}) for n, predicate in enumerate(asked)}
            rows = _answer(engine, table.select("row", **columns))
        wrong = [
            (predicate, values[row["row"]], row[str(n)])
            for row in rows
            for n, predicate in enumerate(asked)
            if row[str(n)] != holds(predicate, {"value": values[row["row"]]})
        ]
        assert not wrong
        assert len(rows) == len(values)
        table = arrow_reference.rows_of("web", indexed.data_files, {"value": type_})
        place = table.column("row").to_pylist()
        for n, predicate in enumerate(asked):
            truth = dict(zip(place, arrow_reference.truth(predicate, table).to_pylist(), strict=True))
            assert {row["row"]: row[str(n)] for row in rows} == truth, predicate

    @pytest.mark.parametrize("type_", ["date", "timestamp"])
    def test_dates_and_moments_of_any_year(self, tmp_path: Path, type_: PropertyType) -> None:
        """From year 1 to year 9999."""
        first, last = asked(type_)[0], asked(type_)[-1]
        source = MadeSource("web", {"value": type_}, [MadeFile("a", 1, [{"value": first}, {"value": last}])])
        with closing(self.engine()) as engine, _as_declared(engine, "any_year"):
            value = _registered(engine, tmp_path, source)
            later = ibis.literal(first, value.value.type()) < value.value
            assert sorted(row["later"] for row in _answer(engine, value.select(later=later))) == [False, True]

    def test_texts_with_nul(self, tmp_path: Path) -> None:
        """A NUL is a character as any other."""
        texts = ["a\0b", "a", "a\0"]
        source = MadeSource("web", {"text": "string"}, [MadeFile("a", 1, [{"text": text} for text in texts])])
        with closing(self.engine()) as engine, _as_declared(engine, "nul"):
            table = _registered(engine, tmp_path, source)
            rows = _answer(engine, table.select("row", "text", same=table.text == "a"))
            assert sorted((row["row"], row["text"], row["same"]) for row in rows) == [
                (0, "a\0b", False),
                (1, "a", True),
                (2, "a\0", False),
            ]

    def test_long_names(self, tmp_path: Path) -> None:
        """Names are told apart by their last characters too."""
        name, other, table_name = "p" * 90 + "a", "p" * 90 + "b", "s" * 99
        types: dict[str, PropertyType] = {name: "int64", other: "int64"}
        source = MadeSource(table_name, types, [MadeFile("a", 1, [{name: 1, other: 2}])])
        with closing(self.engine()) as engine, _as_declared(engine, "long_names"):
            table = _registered(engine, tmp_path, source)
            assert _answer(engine, table.select(name, other)) == [{name: 1, other: 2}]

    def test_a_type_it_cannot_express_is_an_engine_error(self, tmp_path: Path) -> None:
        """A column of another tool's making comes back as it is, or is refused by name; the others can be read."""
        type_ = pa.struct([("inner", pa.map_(pa.string(), pa.int64()))])
        schema = pa.schema([("row", pa.int64()), ("odd", type_)])
        odd = [{"inner": [("a", 1)]}]
        file = str(tmp_path / "odd.parquet")
        pq.write_table(pa.table({"row": [7], "odd": pa.array(odd, type_)}, schema), file)
        table = ibis.table({"row": "int64", "odd": "struct<inner: map<string, int64>>"}, name="odd")
        with closing(self.engine()) as engine:
            engine.register({"odd": (file,)}, {"odd": schema})
            try:
                assert _answer(engine, table) == [{"row": 7, "odd": odd[0]}]
            except EngineError as error:
                assert "odd" in str(error)  # noqa: PT017 - either is right
            assert _answer(engine, table.select("row")) == [{"row": 7}]

    def test_rows_that_are_there_twice_come_twice(self, tmp_path: Path) -> None:
        """Duplicate keys are not the engine's to drop: the compiler counts on seeing them, and refuses the catalog."""
        source = MadeSource("web", {"count": "int64"}, [MadeFile("a", 1, [{"count": 3}, {"count": 4}])])
        indexed = MadeCatalog(tmp_path, [source]).source(source.source)
        with closing(self.engine()) as engine:
            engine.register({"web": indexed.data_files * 2}, {"web": arrow_schema(indexed.types)})
            table = ibis.table(arrow_schema(indexed.types), name="web")
            assert sorted(row["count"] for row in _answer(engine, table.select("count"))) == [3, 3, 4, 4]

    def test_a_null_alone_is_a_row(self, tmp_path: Path) -> None:
        """An answer of one column has a row for each of its NULLs."""
        texts = ["a", None, "", None]
        source = MadeSource("web", {"text": "string"}, [MadeFile("a", 1, [{"text": text} for text in texts])])
        with closing(self.engine()) as engine:
            table = _registered(engine, tmp_path, source)
            rows = _answer(engine, table.select("text"))
            assert sorted(row["text"] or "" for row in rows) == ["", "", "", "a"]
            assert [row["text"] for row in rows].count(None) == 2

    def test_a_table_may_be_registered_again(self, tmp_path: Path) -> None:
        """The last one counts, with its own columns."""
        with closing(self.engine()) as engine:
            for name, value in (("count", 3), ("other", 4)):
                (tmp_path / name).mkdir()
                source = MadeSource("web", {name: "int64"}, [MadeFile("a", 1, [{name: value}])])
                table = _registered(engine, tmp_path / name, source)
                assert _answer(engine, table.select(name)) == [{name: value}]

    def test_its_sql_can_be_printed(self) -> None:
        """`mixtera explain --sql` knows its dialect; or it has none, and the error says so."""
        table = ibis.table({"row": "int64", "topics": "array<string>"}, name="web")
        with closing(self.engine()) as engine, _as_declared(engine, "sql"):
            assert "web" in printed(table.filter(table.topics.contains("law")), engine.name)

    def test_its_gaps_have_names_that_are_known(self) -> None:
        """What is declared is one of the capabilities."""
        assert set(gaps_of(self.engine())) <= set(CAPABILITIES)

    def test_a_table_without_files_is_empty(self) -> None:
        """A source that has no samples yet is an empty table, not an error."""
        types: dict[str, PropertyType] = {"kind": "string", "topics": "list<string>"}
        with closing(self.engine()) as engine:
            engine.register({"web": ()}, {"web": arrow_schema(types)})
            table = ibis.table({"file_id": "int64", "row": "int64", "kind": "string"}, name="web")
            assert sum(batch.num_rows for batch in engine.batches(table.filter(table.kind == "x"))) == 0

    def test_many_rows_come_in_batches(self, tmp_path: Path) -> None:
        """A long answer is streamed, and complete."""
        rows = 300_000
        source = MadeSource("long", {"count": "int64"}, [MadeFile("a", 1, [{"count": 3}] * rows)])
        with closing(self.engine()) as engine:
            table = _registered(engine, tmp_path, source)
            sizes = [batch.num_rows for batch in engine.batches(table.select("row"))]
        assert sum(sizes) == rows
        assert max(sizes) < rows

    def test_odd_names_of_tables_and_folders(self, tmp_path: Path) -> None:
        """Quotes, blanks and characters of patterns mean nothing."""
        folder = tmp_path / "a=1" / "it's [1] *"
        folder.mkdir(parents=True)
        name = 'the "web", it\'s 100%'
        source = MadeSource(name, {"count": "int64"}, [MadeFile("a", 1, [{"count": 3}, {"count": 4}])])
        with closing(self.engine()) as engine:
            table = _registered(engine, folder, source)
            rows = [row for batch in engine.batches(table.select("row", "count")) for row in batch.to_pylist()]
        assert sorted(rows, key=lambda row: int(row["row"])) == [{"row": 0, "count": 3}, {"row": 1, "count": 4}]

    def test_a_failure_is_an_engine_error(self, tmp_path: Path) -> None:
        """A table that is not there, and a file that is gone, are errors of the engine with its words."""
        source = MadeSource("web", {"count": "int64"}, [MadeFile("a", 1, [{"count": 3}])])
        with closing(self.engine()) as engine:
            _registered(engine, tmp_path, source)
            unknown = ibis.table({"row": "int64"}, name="nowhere")
            with pytest.raises(EngineError, match="nowhere"):
                list(engine.batches(unknown))
            missing = str(tmp_path / "missing.parquet")
            with pytest.raises(EngineError, match="missing"):
                engine.register({"gone": (missing,)}, {"gone": arrow_schema({})})

    def test_a_session_goes_on_after_a_failure(self, tmp_path: Path) -> None:
        """A failed query, or one that was not read to the end, leaves the session as it was."""
        rows = 300_000
        source = MadeSource("web", {"count": "int64"}, [MadeFile("a", 1, [{"count": 3}] * rows)])
        with closing(self.engine()) as engine:
            table = _registered(engine, tmp_path, source)
            with pytest.raises(EngineError):
                list(engine.batches(ibis.table({"row": "int64"}, name="nowhere")))
            assert next(iter(engine.batches(table.select("row")))).num_rows
            assert sum(batch.num_rows for batch in engine.batches(table.select("row"))) == rows

    def test_analyze_says_something(self, tmp_path: Path) -> None:
        """The engine's own account of a query is a text."""
        source = MadeSource("web", {"count": "int64"}, [MadeFile("a", 1, [{"count": 3}])])
        with closing(self.engine()) as engine:
            assert engine.analyze(_registered(engine, tmp_path, source).select("row")).strip()

    def test_it_can_be_closed_twice_and_unused(self) -> None:
        """Closing is always allowed."""
        engine = self.engine()
        engine.close()
        engine.close()


@contextmanager
def _as_declared(engine: Engine, capability: str) -> Iterator[None]:
    """What is done in here succeeds; or, where a gap is declared, fails with its error."""
    gap = gaps_of(engine).get(capability)
    with nullcontext() if gap is None else pytest.raises(EngineError, match=gap.error):
        yield


@contextmanager
def _refusing(engine: Engine) -> Iterator[None]:
    """What is done in here may fail with the error of a gap, and with no other."""
    try:
        yield
    except EngineError as error:
        if not any(re.search(gap.error, str(error)) for gap in gaps_of(engine).values()):
            raise


def _is_of_a_far_year(predicate: Predicate) -> bool:
    asked = predicate.values if isinstance(predicate, In) else (getattr(predicate, "value", None),)
    return any(isinstance(value, datetime.date) and not 1900 <= value.year <= 2200 for value in asked)


def _answer(engine: Engine, expression: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - an Ibis table
    return [row for batch in engine.batches(expression) for row in batch.to_pylist()]


def _registered(engine: Engine, folder: Path, source: MadeSource) -> Any:  # noqa: ANN401 - an Ibis table
    indexed = MadeCatalog(folder, [source]).source(source.source)
    engine.register({indexed.table: indexed.data_files}, {indexed.table: arrow_schema(indexed.types)})
    return ibis.table(arrow_schema(indexed.types), name=indexed.table)


def _rows(engine: Engine, plan: Emit) -> Counter[tuple[int, int, int]]:
    batches = engine.batches(lower(plan))
    return Counter((row["file_id"], row["row"], row["label"]) for batch in batches for row in batch.to_pylist())


def _expected(spec: Spec, made: Sequence[MadeSource], source: MadeSource) -> Counter[tuple[int, int, int]]:
    types = {name: type_ for one in made for name, type_ in one.types.items()}
    labels = {path: label for label, path in enumerate(leaf_paths(spec.mixture.parts))}
    assert len(labels) == len(leaves(spec.mixture))
    return Counter(_labelled(spec, source, types, labels))


def _expected_by_arrow(
    spec: Spec, made: Sequence[MadeSource], name: str, files: Sequence[str]
) -> Counter[tuple[int, int, int]]:
    types = {column: type_ for one in made for column, type_ in one.types.items()}
    return Counter(arrow_reference.labelled(spec, arrow_reference.rows_of(name, files, types)))


def _labelled(
    spec: Spec, source: MadeSource, types: dict[str, PropertyType], labels: dict[tuple[str, ...], int]
) -> Iterator[tuple[int, int, int]]:
    for file in source.files:
        for row, _, _, properties in file.records():
            sample = source.sample(properties, types)
            if passes(spec, sample):
                path = leaf_of(spec.mixture.parts, sample)
                label = -1 if path is None else labels.get(path, labels.get(path[:-1], -1))
                yield file.file_id, row, label
