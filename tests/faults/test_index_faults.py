"""Indexing with real processes that are killed, starved of disk, and run at the same time."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixtera.catalog import Catalog
from mixtera.spec import load
from tests.catalog.contents import rows
from tests.catalog.corpus import spoil, touch_later, write_lines
from tests.commands import Command

FILES, ROWS = 8, 1500
SPEC = """\
version: 1
name: test
sources:
  web:
    path: data/*.jsonl
    content: text
    properties: {language: meta.language, year: meta.year, tags: tags, score: score}
mixture: {by: [language], weights: natural}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    for number in range(FILES):
        write_lines(tmp_path / "data" / f"{number}.jsonl", range(number * ROWS, (number + 1) * ROWS))
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path / "spec.yaml"


def start(spec: Path, catalog: Path, *options: str, limit_bytes: int | None = None) -> Command:
    return Command(["index", str(spec), "--catalog", str(catalog), *options], file_bytes=limit_bytes)


def finish(process: Command) -> tuple[int, str, str]:
    out, err = process.communicate()
    return process.wait(), out, err


def contents(spec: Path, catalog: Path) -> list[dict[str, object]]:
    opened = Catalog.open(str(catalog), create=False)
    try:
        return rows(opened, load(str(spec)).sources[0])
    finally:
        opened.close()


def parquet_files(catalog: Path) -> set[Path]:
    return set((catalog / "warehouse" / "web" / "data").rglob("*.parquet"))


def notes(catalog: Path) -> list[Path]:
    return list((catalog / "warehouse" / "web" / "data").rglob("*.json"))


@pytest.fixture
def clean(spec: Path, tmp_path: Path) -> list[dict[str, object]]:
    """What a run that nobody disturbs writes."""
    assert finish(start(spec, tmp_path / "clean"))[0] == 0
    return contents(spec, tmp_path / "clean")


def killed(process: Command, seconds: float) -> bool:
    """Kill a run so long after its start, and wait for its end; whether it had not ended by itself."""
    time.sleep(seconds)  # a random moment: nothing has to have happened by then
    process.kill()
    finish(process)
    return process.returncode == -signal.SIGKILL


def moments(seed: int, count: int, whole_seconds: float) -> Iterator[float]:
    """Random moments of a run that takes so long here; the last is so early that it must be killed."""
    generator = random.Random(seed)
    yield from (generator.uniform(0.0, whole_seconds) for _ in range(count - 1))
    yield 0.0


def test_a_run_that_is_killed_at_any_moment_loses_and_repeats_nothing(
    spec: Path, tmp_path: Path, clean: list[dict[str, object]]
) -> None:
    catalog = tmp_path / "catalog"
    begun = time.monotonic()
    assert finish(start(spec, tmp_path / "measured", "--workers", "2"))[0] == 0
    deaths = 0
    for number, moment in enumerate(moments(7, 10, time.monotonic() - begun)):
        deaths += killed(start(spec, catalog, "--workers", "2"), moment)
        if (catalog / "warehouse" / "web" / "files").exists() and not notes(catalog):
            assert contents(spec, catalog) == clean
            touch_later(spec.parent / "data" / f"{number % FILES}.jsonl")
    assert deaths > 0
    code, _, err = finish(start(spec, catalog))
    assert code == 0, err
    assert contents(spec, catalog) == clean
    assert notes(catalog) == []


def test_after_a_kill_the_catalog_reads_as_before_and_finished_work_is_used(
    spec: Path, tmp_path: Path, clean: list[dict[str, object]]
) -> None:
    catalog = tmp_path / "clean"
    for number in range(FILES, 2 * FILES):
        write_lines(tmp_path / "data" / f"{number}.jsonl", range(number * ROWS, (number + 1) * ROWS))
    process = start(spec, catalog, "--workers", "1")
    while process.poll() is None and not any(note.name != "run.json" for note in notes(catalog)):
        time.sleep(0.001)
    process.kill()
    finish(process)
    finished = {
        file["info"]["name"]
        for note in notes(catalog)
        if note.name != "run.json"
        for file in json.loads(note.read_text())["files"]
    }
    if (before := contents(spec, catalog)) == clean:  # it died before it committed
        assert finished
        for name in finished:
            spoil(tmp_path / "data" / name)
        assert finish(start(spec, catalog, "--workers", "1"))[0] == 0
    after = contents(spec, catalog)
    assert len(after) == 2 * len(clean)
    assert [row for row in after if int(str(row["file"]).split(".")[0]) < FILES] == clean
    assert len(before) in (len(clean), 2 * len(clean))
    assert notes(catalog) == []


def test_a_run_that_died_after_its_commit_is_settled_by_the_next(
    spec: Path, tmp_path: Path, clean: list[dict[str, object]]
) -> None:
    catalog = tmp_path / "clean"
    (run,) = (path.parent for path in parquet_files(catalog) if path.name == "files.parquet")
    (run / "run.json").write_text("{}")
    (run / "leftover.parquet").write_text("")
    assert finish(start(spec, catalog))[0] == 0
    assert notes(catalog) == []
    (run / "run.json").write_text("{}")
    (run / "leftover.parquet").write_text("")
    before = parquet_files(catalog) - {run / "leftover.parquet"}
    (tmp_path / "data" / "0.jsonl").unlink()
    assert finish(start(spec, catalog))[0] == 0
    assert before < parquet_files(catalog)
    assert notes(catalog) == []
    opened = Catalog.open(str(catalog))
    table = opened._tables.load("web", "samples")
    assert table is not None
    counts = [len(table.scan(snapshot_id=facts.snapshot_id).to_arrow()) for facts in opened.history("web")]
    assert counts == [(FILES - 1) * ROWS, FILES * ROWS]
    opened.close()


def test_a_disk_that_is_full_is_an_error_and_leaves_the_old_state(
    spec: Path, tmp_path: Path, clean: list[dict[str, object]]
) -> None:
    catalog = tmp_path / "clean"
    write_lines(tmp_path / "data" / "big.jsonl", random.Random(1).sample(range(10**9), 60_000))
    for workers in ("1", "2"):
        code, out, err = finish(start(spec, catalog, "--workers", workers, limit_bytes=400_000))
        assert (code, out) == (3, "")
        assert "cannot write" in err
        assert "Traceback" not in err
        assert contents(spec, catalog) == clean
    assert finish(start(spec, catalog))[0] == 0
    assert len(contents(spec, catalog)) == len(clean) + 60_000


def test_a_catalog_that_finds_no_room_at_all_leaves_nothing_in_the_way(spec: Path, tmp_path: Path) -> None:
    catalog = tmp_path / "new"
    code, out, err = finish(start(spec, catalog, limit_bytes=0))
    assert (code, out) == (3, "")
    assert f"cannot write the catalog {catalog}: " in err
    assert "free some space" in err
    assert {path.name for path in catalog.iterdir()} <= {"lock"}
    assert finish(start(spec, catalog))[0] == 0


def test_two_processes_index_one_catalog_at_the_same_time(
    spec: Path, tmp_path: Path, clean: list[dict[str, object]]
) -> None:
    catalog = tmp_path / "catalog"
    processes = [start(spec, catalog, "--json") for _ in range(3)]
    done = [finish(process) for process in processes]
    assert [code for code, _, _ in done] == [0, 0, 0], done
    assert sorted(json.loads(out)["sources"][0]["new"] for _, out, _ in done) == [0, 0, FILES]
    assert contents(spec, catalog) == clean


def test_an_interrupt_ends_all_processes_and_commits_nothing(spec: Path, tmp_path: Path) -> None:
    for number in range(4):
        write_lines(tmp_path / "data" / f"big-{number}.jsonl", range(60_000))
    catalog = tmp_path / "catalog"
    process = start(spec, catalog, "--workers", "2")
    while process.poll() is None and not notes(catalog):
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code in (0, 130)
    assert "Traceback" not in err
    if code == 130:
        assert finish(start(spec, catalog))[0] == 0
    assert len(contents(spec, catalog)) == FILES * ROWS + 4 * 60_000
