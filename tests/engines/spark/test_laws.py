"""Spark keeps the laws of an engine, on a real cluster of two workers."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings
from pyspark.sql import SparkSession

import mixtera
from mixtera.demo.corpus import build
from mixtera.demo.specs import copy_specs, example_specs
from mixtera.errors import StorageError
from mixtera.testing.engine import EngineLaws
from mixtera_backends.engines.spark import SparkEngine
from tests.engines.spark.cluster import Cluster, wait_for
from tests.existing.made import keep, make, tabled
from tests.miniature import installation

ROWS = 3_000_000


class TestSpark(EngineLaws):
    examples = 10 if settings().max_examples <= 100 else 50  # a query takes a second; more with `make soak`

    @pytest.fixture(autouse=True)
    def _cluster(self, spark: SparkSession) -> None:
        self._spark = spark

    def engine(self) -> SparkEngine:
        return SparkEngine(self._spark)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("examples")
    build(root / "corpus", installation(root / "installation"))
    copy_specs(root)
    return root


@pytest.mark.parametrize("name", [path.name for path in example_specs()])
def test_examples_have_the_digest_that_duckdb_gives_them(spark: SparkSession, examples: Path, name: str) -> None:
    spec = mixtera.load(str(examples / name))
    catalog = mixtera.Catalog.open(str(examples / "catalog"))
    catalog.index(spec, workers=1)
    plan = mixtera.compile(spec, catalog, engine=SparkEngine(spark), reuse=False)
    assert plan.digest == mixtera.compile(spec, catalog, reuse=False).digest


def test_a_table_of_others_has_the_digest_of_the_indexed_files(spark: SparkSession, tmp_path: Path) -> None:
    corpus, catalog = make(tmp_path), mixtera.Catalog.open(str(tmp_path / "catalog"))
    spec = tabled(corpus, keep(corpus.table, tmp_path / "meta"), tmp_path)
    catalog.index(spec)
    assert mixtera.compile(spec, catalog, engine=SparkEngine(spark)).digest == corpus.digest


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """A table of three million rows in eight files."""
    folder = tmp_path_factory.mktemp("table")
    for number in range(8):
        first, last = number * ROWS // 8, (number + 1) * ROWS // 8
        values = {"row": np.arange(first, last), "score": np.random.default_rng(number).random(last - first)}
        pq.write_table(pa.table(values), folder / f"{number}.parquet", row_group_size=1 << 16)
    return {"long": sorted(map(str, folder.iterdir()))}


SCHEMA = pa.schema({"row": pa.int64(), "score": pa.float64()})
LONG = ibis.table(SCHEMA, name="long")
ASKED = LONG.filter(LONG.score > 0.25).select("row", label=ibis.cases((LONG.score > 0.5, 1), else_=0).cast("int32"))


def digest(engine: SparkEngine) -> tuple[int, int, int]:
    """Rows of the answer, and sums over them that do not depend on the order."""
    count = rows = labels = 0
    for batch in engine.batches(ASKED):
        count += batch.num_rows
        rows += int(batch.column("row").to_numpy().sum())
        labels += int(batch.column("label").to_numpy().sum())
    return count, rows, labels


@pytest.fixture(scope="module")
def expected(table: dict[str, list[str]]) -> tuple[int, int, int]:
    found = pa.concat_tables([pq.read_table(path) for path in table["long"]])
    row, score = (found.column(name).to_numpy() for name in ("row", "score"))
    return int((score > 0.25).sum()), int(row[score > 0.25].sum()), int((score > 0.5).sum())


def test_executors_write_large_answers_and_nothing_of_them_stays(
    spark: SparkSession, tmp_path: Path, table: dict[str, list[str]], expected: tuple[int, int, int]
) -> None:
    with closing(SparkEngine(spark, shared=str(tmp_path), collected_bytes=0)) as engine:
        engine.register(table, {"long": SCHEMA})
        answer = engine.batches(ASKED)
        assert next(answer).num_rows
        assert len(list(tmp_path.glob("mixtera-spark-*/answer/*.parquet"))) > 1
        answer.close()
        assert list(tmp_path.iterdir()) == []
        assert digest(engine) == expected
    assert list(tmp_path.iterdir()) == []


def test_a_killed_executor_is_replaced_and_the_labels_are_the_same(
    spark: SparkSession, cluster: Cluster, tmp_path: Path, table: dict[str, list[str]], expected: tuple[int, int, int]
) -> None:
    before = {process.pid for process in cluster.executors()}
    with closing(SparkEngine(spark, shared=str(tmp_path), collected_bytes=0)) as engine:
        engine.register(table, {"long": SCHEMA})
        found: list[tuple[int, int, int]] = []
        asking = threading.Thread(target=lambda: found.append(digest(engine)))
        asking.start()
        wait_for(lambda: bool(spark.sparkContext.statusTracker().getActiveStageIds()))
        killed = cluster.executors()[0]
        killed.kill()
        assert not found
        asking.join()
    assert found == [expected]
    wait_for(lambda: len({process.pid for process in cluster.executors()} - before) == 1)


def test_a_shared_directory_that_is_not_there(spark: SparkSession, tmp_path: Path, table: dict[str, list[str]]) -> None:
    nowhere = tmp_path / "nowhere"
    with closing(SparkEngine(spark, shared=str(nowhere), collected_bytes=0)) as engine:
        engine.register(table, {"long": SCHEMA})
        with pytest.raises(StorageError, match=r"cannot write to .*nowhere, which MIXTERA_SPARK_SHARED names"):
            list(engine.batches(ASKED))
