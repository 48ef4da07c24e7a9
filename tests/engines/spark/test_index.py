"""`mixtera index` on Spark: the catalog is that of the local pool, and what happens on the way is no worse."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

import mixtera
from mixtera.catalog import Catalog
from mixtera.catalog.bundles import Scanned
from mixtera.catalog.executor import executor_named
from mixtera.catalog.work import Work
from mixtera.catalog.worker import Answer
from mixtera.errors import EngineError, MixteraError, PluginError, SampleError, StorageError
from mixtera.spec.model import Source, Spec
from mixtera_backends.executors.spark import SparkExecutor
from mixtera_backends.spark.job import Job
from mixtera_backends.spark.pieces import Batches, task
from mixtera_backends.spark.session import unwarned
from tests.catalog.contents import in_order, rows
from tests.catalog.corpus import append, spoil, touch_later, write_lines
from tests.engines.spark.cluster import Cluster, executor_above, wait_for

SPEC = """\
version: 1
name: test
sources:
  web:
    path: "data/part-{{part}}.jsonl"
    content: text
    on_bad_sample: {policy}
    properties:
      language: meta.language
      year: meta.year
      tags: tags
      score: score
      part: {{capture: part, type: int64}}
      {computed}
mixture:
  by: [language]
"""
COMPUTED = 'size: {compute: "beside:size", columns: [text], type: int64}'
FUNCTIONS = """\
import os, time
from pathlib import Path
import pyarrow.compute as pc

def size(batch):
    return pc.utf8_length(batch.column("text"))

def fails(batch):
    raise KeyError("not today")

def waits(batch):
    marker = Path(__file__).with_name("marker")
    try:
        with marker.open("x") as file:
            file.write(str(os.getpid()) + "\\n")
    except FileExistsError:
        return size(batch)
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spec's folder, with four files of 30, 31, 32 and 33 samples and the module of its functions."""
    for number in range(4):
        write_lines(tmp_path / "data" / f"part-{number}.jsonl", range(100 * number, 100 * number + 30 + number))
    (tmp_path / "beside.py").write_text(FUNCTIONS)
    return tmp_path


def spec_in(folder: Path, policy: str = "fail", computed: str = "") -> Spec:
    path = folder / "spec.yaml"
    path.write_text(SPEC.format(policy=policy, computed=computed))
    return mixtera.load(str(path))


def catalogs(folder: Path) -> tuple[Catalog, Catalog]:
    return Catalog.open(str(folder / "local")), Catalog.open(str(folder / "spark"))


def files(catalog: Catalog, source: Source) -> pa.Table:
    """The files of a source, without the name of the catalog's own file, which no two runs share."""
    return catalog.source(source).files.drop_columns(["data_file"])


def index_both(folder: Path, spark: SparkSession, spec: Spec) -> None:
    """Index in both catalogs, and see that nothing tells them apart."""
    local, other = catalogs(folder)
    one = local.index(spec, workers=2)
    two = other.index(spec, executor=SparkExecutor(2, spark))
    for left, right in zip(one.sources, two.sources, strict=True):
        assert (left.new, left.changed, left.gone, left.unchanged) == (
            right.new,
            right.changed,
            right.gone,
            right.unchanged,
        )
        assert (left.samples, left.skipped, left.quarantined) == (right.samples, right.skipped, right.quarantined)
        assert (left.bytes, left.columns) == (right.bytes, right.columns)
    for source in spec.sources:
        assert rows(local, source) == rows(other, source)
        assert files(local, source).equals(files(other, source))
        assert local.state(source.name).definition == other.state(source.name).definition
        assert local.quarantine(source.name).equals(other.quarantine(source.name))
        assert all(in_order(path) for path in other.source(source).data_files)
    assert mixtera.compile(spec, local).digest == mixtera.compile(spec, other).digest


def no_leftovers(catalog: Catalog) -> bool:
    """Whether the catalog's directory holds nothing but what its tables name."""
    names = {path.name for path in catalog.path.rglob("data/*/*")}
    return not any(name.endswith((".answer", ".part", ".json")) for name in names)


def test_the_catalog_is_that_of_the_local_pool_run_after_run(spark: SparkSession, folder: Path) -> None:
    append(folder / "data" / "part-1.jsonl", b"nonsense\n")
    index_both(folder, spark, spec_in(folder, "quarantine"))
    index_both(folder, spark, spec_in(folder, "quarantine", COMPUTED))
    write_lines(folder / "data" / "part-9.jsonl", range(900, 905))
    touch_later(write_lines(folder / "data" / "part-0.jsonl", range(7)))
    (folder / "data" / "part-3.jsonl").unlink()
    index_both(folder, spark, spec_in(folder, "quarantine", COMPUTED))
    assert all(no_leftovers(catalog) for catalog in catalogs(folder))


def test_nothing_new_starts_no_spark(folder: Path) -> None:
    spec = spec_in(folder)
    local, _ = catalogs(folder)
    local.index(spec)

    class Executor(SparkExecutor):
        def start(self, pieces: int, total_bytes: int) -> None:
            raise AssertionError("there is nothing to do")

    assert local.index(spec, executor=Executor()).indexed_files == 0


@pytest.mark.parametrize(
    ("computed", "kind"),
    [("", SampleError), ('size: {compute: "beside:fails", columns: [text], type: int64}', SampleError)],
)
def test_errors_are_those_of_the_local_pool(
    spark: SparkSession, folder: Path, computed: str, kind: type[MixteraError]
) -> None:
    if not computed:
        append(folder / "data" / "part-1.jsonl", b"nonsense\n")
    spec = spec_in(folder, computed=computed)
    local, other = catalogs(folder)
    with pytest.raises(kind) as one:
        local.index(spec, workers=1)
    with pytest.raises(kind) as two:
        other.index(spec, executor=SparkExecutor(1, spark))
    assert some_file(str(one.value)) == some_file(str(two.value))
    assert other.sources() == ()


def some_file(message: str) -> str:
    """A message without which of several files it is about: the first that fails is told of."""
    return re.sub(r"rows 0 to \d+ of \S+", "some rows", message)


def test_what_a_failed_run_has_finished_is_not_read_again(spark: SparkSession, folder: Path) -> None:
    """Whoever goes on: what Spark has finished is of use to the local pool too."""
    broken = folder / "data" / "part-4.jsonl"
    broken.write_bytes(b"}\n")
    spec = spec_in(folder)
    _, catalog = catalogs(folder)
    with pytest.raises(SampleError):
        catalog.index(spec, executor=SparkExecutor(8, spark))
    notes = [note for note in catalog.path.rglob("data/*/*.json") if note.name != "run.json"]
    done = {file.info.url for note in notes for file in msgspec.json.decode(note.read_bytes(), type=Scanned).files}
    whole = [path for path in (folder / "data").iterdir() if str(path) in done and path != broken]
    assert whole
    for path in whole:
        spoil(path)
    touch_later(write_lines(broken, range(400, 410)))
    assert catalog.index(spec, workers=1).samples == 136
    assert no_leftovers(catalog)


def test_a_killed_executor_is_replaced_and_the_catalog_is_the_same(
    spark: SparkSession, cluster: Cluster, folder: Path
) -> None:
    local, other = catalogs(folder)
    spec = spec_in(folder, computed=COMPUTED.replace('size"', 'waits"'))
    executor = SparkExecutor(2, spark)
    errors: list[BaseException] = []

    def index() -> None:
        try:
            other.index(spec, executor=executor)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    indexing = threading.Thread(target=index)
    indexing.start()
    marker = folder / "marker"
    wait_for(lambda: marker.exists() and marker.read_text().endswith("\n"))
    executor_above(int(marker.read_text())).kill()
    indexing.join()
    assert errors == []
    local.index(spec, workers=2)
    for source in spec.sources:
        assert rows(local, source) == rows(other, source)
        assert files(local, source).equals(files(other, source))
    assert no_leftovers(other)


class TestPieces:
    """What a task answers, without a cluster."""

    @pytest.fixture
    def piece(self, folder: Path) -> Work:
        """A piece of a run, whose directory is there no more."""
        found: list[Work] = []

        class Watching(SparkExecutor):
            def scan(self, bundles, advance, finished, meanwhile) -> None:  # type: ignore[no-untyped-def]
                found.extend(bundles)
                raise SampleError("seen enough")

            def start(self, pieces: int, total_bytes: int) -> None:
                """Start nothing."""

        _, catalog = catalogs(folder)
        with pytest.raises(SampleError, match="seen enough"):
            catalog.index(spec_in(folder), executor=Watching(1))
        return found[0]

    def answer(self, piece: Work, version: str = mixtera.__version__) -> Answer:
        import pyarrow as pa

        (answer,) = task([msgspec.json.encode(piece)], version)(iter([pa.record_batch({"id": [0]})]))
        return msgspec.json.decode(answer.column("answer")[0].as_py(), type=Answer)

    def test_a_directory_that_executors_do_not_see(self, piece: Work) -> None:
        failure = self.answer(msgspec.structs.replace(piece, directory="/no/such/place")).failure
        assert failure is not None
        assert isinstance(failure.error(), StorageError)
        assert "does not see /no/such/place; the catalog must lie on a file system that" in failure.message

    def test_executors_with_another_version(self, piece: Work) -> None:
        failure = self.answer(piece, "0.0.1").failure
        assert failure is not None
        assert isinstance(failure.error(), PluginError)
        assert "the driver 0.0.1; install the same version" in failure.message

    def test_two_attempts_do_not_write_to_one_file(self, piece: Work, monkeypatch: pytest.MonkeyPatch) -> None:
        """A first attempt that was given up may still write while the second does."""
        names = set()
        for attempt in (3, 8):
            context = type("Context", (), {"taskAttemptId": lambda self, attempt=attempt: attempt})()
            monkeypatch.setattr("mixtera_backends.spark.pieces.TaskContext.get", lambda context=context: context)
            result = self.answer(piece).result
            assert result is not None
            names.add(result.data_file)
        assert len(names) == 2


def test_a_job_that_is_cancelled_ends_at_once(spark: SparkSession) -> None:
    def sleeps(batches: Batches) -> Batches:
        for batch in batches:
            time.sleep(600)
            yield batch

    with unwarned():
        endless = spark.range(0, 4, 1, 4).mapInArrow(sleeps, "id long")
    job = Job(spark, endless.toArrow)
    wait_for(lambda: bool(spark.sparkContext.statusTracker().getActiveStageIds()))
    job.cancel()
    with pytest.raises(EngineError, match="cancelled"):
        job.result()
    assert Job(spark, spark.range(3).count).result() == 3


def test_what_executors_lack_is_said_in_a_line(spark: SparkSession) -> None:
    def imports(batches: Batches) -> Batches:
        import mixtera_from_elsewhere  # type: ignore[import-not-found]

        yield from mixtera_from_elsewhere.of(batches)

    with unwarned():
        lacking = spark.range(0, 1, 1, 1).mapInArrow(imports, "id long")
    with pytest.raises(EngineError) as raised:
        Job(spark, lacking.toArrow).result()
    assert str(raised.value) == (
        "spark: ModuleNotFoundError: No module named 'mixtera_from_elsewhere'; the Python of the executors must have "
        "Mixtera: install it there, or name it by PYSPARK_PYTHON"
    )


def test_an_executor_that_is_not_there() -> None:
    with pytest.raises(PluginError, match=r"no plugin of kind 'executors' is named 'sparc'.*did you mean 'spark'"):
        executor_named("sparc", None)
