"""Labels of earlier compilations: the plan is the one that is compiled without them, whatever happened in between."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mixtera
from mixtera import Catalog, Plan, Spec
from mixtera_backends.engines.duckdb import DuckDBEngine

PROPERTIES = {"kind": {"path": "kind", "type": "string"}, "n": {"path": "n", "type": "int64"}}
WEIGHED: dict[str, Any] = {
    "components": [
        {"name": "a", "where": {"kind": ["a", "b"]}, "weight": 2},
        {"name": "few", "where": "n < 20", "weight": 1},
        {"name": "rest", "weight": 1},
    ]
}
MIXTURES: tuple[dict[str, Any], ...] = (
    {"mixture": WEIGHED},
    {"mixture": {"components": [{**part, "weight": 5} for part in WEIGHED["components"]]}},
    {"mixture": WEIGHED, "filter": "n != 3"},
    {"mixture": {"by": "kind"}},
    {"mixture": {"by": ["dataset", "kind"]}, "filter": 'kind != "c" or n < 9'},
    {"mixture": WEIGHED, "order": {"by": "n"}},
    {"mixture": WEIGHED, "order": {"by": 'kind == "a"'}},
    {"mixture": WEIGHED, "holdout": {"fraction": 0.3}},
    {
        "mixture": {
            "components": [{"name": "one", "where": {"dataset": "one"}, "weight": 1}, {"name": "other", "weight": 1}]
        }
    },
)


class Asked(DuckDBEngine):
    """Counts the rows that it is asked about."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.rows, self.tables = 0, 0

    def batches(self, expression: object) -> Iterator[pa.RecordBatch]:
        self.tables += 1
        for batch in super().batches(expression):
            self.rows += batch.num_rows
            yield batch


class Corpus:
    """JSON lines of two sources and a catalog of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.catalog = Catalog.open(str(root / "catalog"))

    def write(self, name: str, records: int, salt: int = 0) -> None:
        """Write a file; `one/3` is a file of the source `one`."""
        path = self.root / "data" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps({"text": "x" * (i % 5), "kind": "abcd"[(i * 7 + salt) % 4], "n": i}) for i in range(records)
        ]
        path.write_text("".join(line + "\n" for line in lines))

    def spec(self, parts: Mapping[str, Any] = MIXTURES[0]) -> Spec:
        """A spec over the files, which are indexed."""
        source = {"content": "text", "properties": PROPERTIES}
        sources = {
            folder.name: {"path": f"{folder}/*.jsonl", **source} for folder in sorted((self.root / "data").iterdir())
        }
        path = self.root / "spec.yaml"
        path.write_text(json.dumps({"version": 1, "sources": sources, **parts}))
        spec = mixtera.load(str(path))
        self.catalog.index(spec, workers=1)
        return spec

    def labels(self) -> list[Path]:
        """The files that labels are kept in."""
        return sorted(path for path in (self.root / "catalog" / "labels").rglob("*") if path.is_file())


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    made = Corpus(tmp_path)
    for number in range(3):
        made.write(f"one/{number}", 40 + number, number)
        made.write(f"two/{number}", 30, number)
    return made


def compiled(corpus: Corpus, spec: Spec, engine: Asked | None = None) -> Plan:
    with closing(engine or Asked()) as asked:
        return mixtera.compile(spec, corpus.catalog, engine=asked)


def assert_same(plan: Plan, spec: Spec, catalog: Catalog) -> None:
    """The plan is the one of a compilation that remembers nothing, to the last byte of its arrays."""
    whole = mixtera.compile(spec, catalog, reuse=False)
    assert plan.digest == whole.digest
    assert plan.data.starts.tobytes() == whole.data.starts.tobytes()
    assert plan.data.segments.equals(whole.data.segments)
    assert plan.data.components == whole.data.components
    said = [{**found.data.facts, "made": None, "seconds": None, "asked": None} for found in (plan, whole)]
    assert said[0] == said[1]


def test_nothing_is_asked_again(corpus: Corpus) -> None:
    spec, first, second = corpus.spec(), Asked(), Asked()
    compiled(corpus, spec, first)
    plan = compiled(corpus, spec, second)
    assert (first.rows, second.rows) == (213, 0)
    assert second.tables == 0
    assert plan.data.facts["asked"] == 0
    assert_same(plan, spec, corpus.catalog)


def test_other_weights_ask_nothing(corpus: Corpus) -> None:
    compiled(corpus, corpus.spec(MIXTURES[0]))
    engine, spec = Asked(), corpus.spec(MIXTURES[1])
    assert_same(compiled(corpus, spec, engine), spec, corpus.catalog)
    assert engine.rows == 0


def test_a_predicate_that_moved_in_the_file_is_the_same(corpus: Corpus) -> None:
    compiled(corpus, corpus.spec(MIXTURES[0]))
    engine = Asked()
    compiled(corpus, corpus.spec({"name": "another", "order": {"seed": 3}, **MIXTURES[0]}), engine)
    assert engine.rows == 0


def test_only_new_files_are_asked_about(corpus: Corpus) -> None:
    compiled(corpus, corpus.spec())
    corpus.write("one/9", 7)
    engine, spec = Asked(), corpus.spec()
    assert_same(compiled(corpus, spec, engine), spec, corpus.catalog)
    assert engine.rows == 7


def test_another_predicate_asks_about_all(corpus: Corpus) -> None:
    compiled(corpus, corpus.spec())
    engine, spec = Asked(), corpus.spec(MIXTURES[2])
    assert_same(compiled(corpus, spec, engine), spec, corpus.catalog)
    assert engine.rows == 207


def test_labels_move_with_the_catalog(corpus: Corpus, tmp_path: Path) -> None:
    spec = corpus.spec()
    compiled(corpus, spec)
    shutil.copytree(tmp_path / "catalog", tmp_path / "elsewhere")
    with closing(Asked()) as engine:
        mixtera.compile(spec, Catalog.open(str(tmp_path / "elsewhere")), engine=engine)
    assert engine.rows == 0


@pytest.mark.parametrize("parts", MIXTURES, ids=str)
def test_the_plan_is_the_same_with_kept_labels(corpus: Corpus, parts: dict[str, Any]) -> None:
    spec = corpus.spec(parts)
    for _ in range(2):
        assert_same(compiled(corpus, spec), spec, corpus.catalog)


CHANGES = st.lists(
    st.tuples(st.sampled_from(["one/0", "one/1", "one/2", "two/0", "two/1"]), st.integers(0, 60), st.integers(0, 3)),
    max_size=3,
)
STEPS = st.lists(st.tuples(CHANGES, st.sampled_from(range(len(MIXTURES)))), min_size=2, max_size=4)


EXAMPLES = 10 if settings().max_examples <= 100 else settings().max_examples  # more with `make soak`


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_files_come_change_and_go(steps: list[tuple[list[tuple[str, int, int]], int]]) -> None:
    """A file of 0 records is removed; one that is there is written anew with others."""
    with TemporaryDirectory() as directory:
        corpus = Corpus(Path(directory))
        for name in ("one/keep", "two/keep"):
            corpus.write(name, 50)
        for changes, number in steps:
            for name, records, salt in changes:
                corpus.write(name, records, salt)
                if not records:
                    (corpus.root / "data" / f"{name}.jsonl").unlink()
            spec = corpus.spec(MIXTURES[number])
            assert_same(compiled(corpus, spec), spec, corpus.catalog)


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flipped(data: bytes) -> bytes:
    return data[:-6] + bytes([data[-6] ^ 1]) + data[-5:]


def test_labels_go_with_their_source(corpus: Corpus) -> None:
    compiled(corpus, corpus.spec())
    corpus.catalog.drop("one")
    assert {path.parent.parent.name for path in corpus.labels()} == {"two"}


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut short": _cut,
    "a bit flipped": _flipped,
    "without its end": lambda data: data[:-1],
    "more behind it": lambda data: data + b"\0",
    "twice": lambda data: data * 2,
    "something else": lambda data: b"labels" * 100,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_labels_are_asked_again(corpus: Corpus, damage: str) -> None:
    spec = corpus.spec()
    compiled(corpus, spec)
    for path in corpus.labels():
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
    engine = Asked()
    assert_same(compiled(corpus, spec, engine), spec, corpus.catalog)
    assert engine.rows == 213
    engine = Asked()
    compiled(corpus, spec, engine)
    assert engine.rows == 0


def test_labels_that_cannot_be_kept_are_asked_again(corpus: Corpus, tmp_path: Path) -> None:
    spec = corpus.spec()
    (tmp_path / "catalog" / "labels").write_bytes(b"in the way")
    for _ in range(2):
        engine = Asked()
        assert_same(compiled(corpus, spec, engine), spec, corpus.catalog)
        assert engine.rows == 213


def test_without_reuse_nothing_is_kept(corpus: Corpus) -> None:
    mixtera.compile(corpus.spec(), corpus.catalog, reuse=False)
    assert not corpus.labels()


def test_labels_of_a_few_questions_are_kept(corpus: Corpus) -> None:
    for limit in range(7):
        compiled(corpus, corpus.spec({"mixture": WEIGHED, "filter": f"n != {limit}"}))
    assert len(corpus.labels()) == 6 * 4  # of each Parquet file
    engine = Asked()
    compiled(corpus, corpus.spec({"mixture": WEIGHED, "filter": "n != 6"}), engine)
    assert engine.rows == 0


def test_compilations_side_by_side(corpus: Corpus) -> None:
    spec = corpus.spec()
    with ThreadPoolExecutor(4) as threads:
        digests = {plan.digest for plan in threads.map(lambda _: compiled(corpus, spec), range(8))}
    assert digests == {mixtera.compile(spec, corpus.catalog, reuse=False).digest}
    assert all(not path.name.startswith(".") for path in corpus.labels())
    engine = Asked()
    compiled(corpus, spec, engine)
    assert engine.rows == 0


def test_many_labels_are_wide(corpus: Corpus) -> None:
    corpus.write("one/large", 600)
    parts = [{"name": f"n{i}", "where": f"n == {i}", "weight": 1} for i in range(300)]
    spec = corpus.spec({"mixture": {"components": [*parts, {"name": "rest", "weight": 1}]}})
    compiled(corpus, spec)
    engine = Asked()
    assert_same(compiled(corpus, spec, engine), spec, corpus.catalog)
    assert engine.rows == 0


def test_kept_labels_take_little_room(corpus: Corpus) -> None:
    corpus.write("one/large", 20_000)
    compiled(corpus, corpus.spec())
    assert 0 < sum(path.stat().st_size for path in corpus.labels()) < 20_000
