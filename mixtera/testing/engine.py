"""The laws of an engine. A plugin's tests subclass `EngineLaws` and say how a session is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis.strategies as st
import ibis
import pytest
from hypothesis import HealthCheck, given, settings

from mixtera.compiler.build import build
from mixtera.compiler.leaves import leaves
from mixtera.compiler.lower import arrow_schema, lower
from mixtera.compiler.nodes import Emit
from mixtera.compiler.pipeline import session
from mixtera.compiler.rewrite import rewrite_plan
from mixtera.compiler.rules import RESOLVING
from mixtera.contracts.engine import Engine
from mixtera.contracts.properties import PropertyType
from mixtera.errors import EngineError
from mixtera.spec.model import Spec
from mixtera.testing.catalog import MadeCatalog, MadeFile, MadeSource
from mixtera.testing.reference import leaf_of, leaf_paths, passes
from mixtera.testing.strategies import made_sources, specs

_LAW = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


class EngineLaws(ABC):
    """What every engine must do."""

    @abstractmethod
    def engine(self) -> Engine:
        """A new session."""

    def test_labels_are_those_of_the_reference(self) -> None:
        """Random mixtures over random sources: the same rows with the same labels as one sample at a time."""

        @_LAW
        @given(data=st.data())
        def holds(data: st.DataObject) -> None:
            made = data.draw(made_sources())
            spec = data.draw(specs(made))
            with TemporaryDirectory() as directory:
                catalog = MadeCatalog(Path(directory), made)
                indexed = [catalog.source(source) for source in spec.sources]
                built = build(spec, indexed)
                with closing(self.engine()) as engine, session(engine, built) as running:
                    for source, plan in zip(made, built, strict=True):
                        expected = _expected(spec, made, source)
                        assert _rows(running, rewrite_plan(plan.plan, RESOLVING)) == expected
                        assert _rows(running, rewrite_plan(plan.plan)) == expected

        holds()  # one function for each class: hypothesis wants the laws of two engines apart

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
