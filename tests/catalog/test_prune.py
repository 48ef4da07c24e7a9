"""Pruning a catalog in a directory: what goes, what stays, and that it may be killed at any file."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pyiceberg.table import StaticTable

import mixtera
from mixtera.catalog.pruning import Pruned, prune
from mixtera.cli.main import main
from mixtera.errors import CatalogError
from mixtera.spec.model import Spec
from tests.catalog.contents import rows
from tests.catalog.corpus import write_lines

SPEC = """version: 1
name: pruned
sources:
  web: {path: "data/*.jsonl", content: text, properties: {language: meta.language}}
  more: {path: "more/*.jsonl", content: text, properties: {language: meta.language}}
mixture: {by: [language], weights: natural}
"""
STATES = 4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of several states, whose labels were kept."""
    root = tmp_path_factory.mktemp("pruned")
    (root / "spec.yaml").write_text(SPEC)
    for folder in ("data", "more"):
        for number in range(2):
            write_lines(root / folder / f"{number}.jsonl", range(100))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        spec, catalog = mixtera.load("spec.yaml"), mixtera.Catalog.open(".mixtera")
        for state in range(STATES):
            write_lines(root / "data" / "0.jsonl", range(101 + state))
            catalog.index(spec, workers=1)
            mixtera.compile(spec, catalog)
    return root


@pytest.fixture
def catalog(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> mixtera.Catalog:
    """A copy of it of its own, in the current directory."""
    shutil.copytree(made / ".mixtera", tmp_path / ".mixtera")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIXTERA_CATALOG", raising=False)
    return mixtera.Catalog.open(".mixtera")


@pytest.fixture
def spec(made: Path) -> Spec:
    return mixtera.load(str(made / "spec.yaml"))


def files() -> set[str]:
    return {str(path) for path in Path(".mixtera").rglob("*") if path.is_file() and path.name not in ("lock",)}


def contents(catalog: mixtera.Catalog, spec: Spec) -> list[list[dict[str, object]]]:
    return [rows(catalog, source) for source in spec.sources]


def now(catalog: mixtera.Catalog, keep: int, *, dry_run: bool = False) -> Pruned:
    """Prune without a period of grace."""
    return prune(catalog._tables, keep, 0, dry_run=dry_run)


def test_old_states_go_and_the_kept_ones_are_whole(catalog: mixtera.Catalog, spec: Spec) -> None:
    before, there = contents(catalog, spec), files()
    promised = now(catalog, 2, dry_run=True)
    assert files() == there
    done = now(catalog, 2)
    assert done == promised
    assert (done.states, done.commits, done.labels) == (STATES - 2, 0, STATES - 2)
    assert 0 < done.files <= len(there - files())
    assert done.bytes > 0
    assert contents(catalog, spec) == before
    assert [len(catalog.history(name)) for name in ("web", "more")] == [2, 1]
    assert now(catalog, 2) == Pruned(0, 0, 0, 0, 0)


def test_every_kept_state_can_be_read_by_others(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.move(made / ".mixtera", tmp_path / "aside")  # its URIs are those of the place where it was made
    try:
        shutil.copytree(tmp_path / "aside", made / ".mixtera")
        monkeypatch.chdir(made)
        now(mixtera.Catalog.open(".mixtera"), 3)
        for role, counts in (("samples", [202, 203, 204]), ("files", [2, 2, 2])):
            last = max((made / f".mixtera/warehouse/web/{role}/metadata").glob("*.metadata.json"))
            table = StaticTable.from_metadata(str(last))
            found = [table.scan(snapshot_id=one.snapshot_id).to_arrow().num_rows for one in table.snapshots()]
            assert found == counts
    finally:
        shutil.rmtree(made / ".mixtera")
        shutil.move(tmp_path / "aside", made / ".mixtera")


@pytest.fixture
def one_more(made: Path) -> Iterator[Callable[[], object]]:
    """Writes another file of `web`, which is gone when the test is over: the data are of all tests."""
    path = made / "data" / "2.jsonl"
    yield lambda: write_lines(path, range(50))
    path.unlink()


def test_an_index_goes_on_after_it(catalog: mixtera.Catalog, spec: Spec, one_more: Callable[[], object]) -> None:
    now(catalog, 1)
    one_more()
    report = catalog.index(spec, workers=1)
    assert [source.new for source in report.sources] == [1, 0]
    assert all(not found.differences for found in catalog.verify(spec, workers=1))
    assert len(mixtera.compile(spec, catalog)) > 0
    now(catalog, 1)
    assert report.samples == sum(len(found) for found in contents(catalog, spec))


def test_what_is_young_stays_and_states_that_were_the_newest_in_the_period(catalog: mixtera.Catalog) -> None:
    there = files()
    assert catalog.prune(keep=1) == Pruned(0, 0, 0, 0, 0)
    for path in map(Path, there):
        os.utime(path, (0, 0))  # however old the files say that they are, the states are young
    assert catalog.prune(keep=1, older_than=timedelta(hours=1)) == Pruned(0, 0, 0, 0, 0)
    assert files() == there


def test_runs_that_were_killed_go_when_they_are_old(catalog: mixtera.Catalog, spec: Spec) -> None:
    before = contents(catalog, spec)
    dead, odd = Path(".mixtera/warehouse/web/data/20200101T000000Z-0badc0de"), Path(".mixtera/warehouse/gone/x.avro")
    for folder in (dead, odd.parent):
        folder.mkdir()
    for path in (dead / "run.json", dead / "0.parquet", dead / "0.json", odd):
        path.write_bytes(b"{}")
    label = next(Path(".mixtera/labels/web").glob("*/*"))
    partial = label.with_name(f".{label.name}.x.partial")
    partial.write_bytes(b"")
    old = time.time() - 8 * 86400
    os.utime(dead / "0.parquet", (old, old))
    assert catalog.prune() == Pruned(0, 0, 0, 0, 0)  # one file of the run is young: it may go on
    for path in (*dead.iterdir(), odd, partial):
        os.utime(path, (old, old))
    assert catalog.prune() == Pruned(0, 0, 4, 8, 1)
    assert not dead.exists()
    assert not odd.parent.exists()
    assert not partial.exists()
    assert contents(catalog, spec) == before


def _dies(after: int) -> None:
    """Prune in a process that ends with the deletion of so many files."""
    deleted = 0
    unlink = Path.unlink

    def counted(path: Path, missing_ok: bool = False) -> None:
        nonlocal deleted
        if deleted == after:
            os._exit(9)
        deleted += 1
        unlink(path, missing_ok)

    Path.unlink = counted  # type: ignore[method-assign]
    now(mixtera.Catalog.open(".mixtera"), 1)


@pytest.mark.parametrize("after", [0, 1, 7])
def test_killed_at_any_file_the_next_one_goes_on(catalog: mixtera.Catalog, spec: Spec, after: int) -> None:
    before = contents(catalog, spec)
    process = multiprocessing.get_context("fork").Process(target=_dies, args=(after,))
    process.start()
    process.join()
    assert process.exitcode == 9
    catalog = mixtera.Catalog.open(".mixtera")
    assert contents(catalog, spec) == before
    assert len(catalog.history("web")) == 1
    assert now(catalog, 1).files > 0
    assert now(catalog, 1) == Pruned(0, 0, 0, 0, 0)
    assert contents(catalog, spec) == before


def test_the_command(catalog: mixtera.Catalog, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "prune", "--dry-run"]) == 0
    assert capsys.readouterr().out == "would be deleted: 0 old states, 0 files (0.0 MB), 0 labels\n"
    assert main(["catalog", "prune", "--json", "--keep", "3", "--older-than", "36h"]) == 0
    expected = {"states": 0, "commits": 0, "files": 0, "bytes": 0, "labels": 0, "dry_run": False}
    assert json.loads(capsys.readouterr().out) == expected
    assert main(["catalog", "prune", "--older-than", "59m"]) == 1
    assert "3540 seconds: at least 1 state is kept, and at least 3,600 seconds" in capsys.readouterr().err
    for words in (["--older-than", "week"], ["--older-than", "-1d"], ["--keep", "0"]):
        assert main(["catalog", "prune", *words]) == 2
    assert main(["catalog", "prune", "--older-than", "99999999999999999999w", "--quiet"]) == 0
    assert main(["catalog", "prune", "--catalog", "nowhere"]) == 1
    with pytest.raises(CatalogError, match="0 states"):
        catalog.prune(keep=0)
