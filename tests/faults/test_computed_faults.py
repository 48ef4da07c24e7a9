"""Computing properties with real processes that are killed at any moment."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.catalog.corpus import touch_later, write_lines
from tests.faults.test_index_faults import contents, finish, killed, moments, notes, parquet_files, start
from tests.waiting import until

FILES, ROWS = 8, 400
PLAIN = """\
version: 1
name: test
sources:
  web:
    path: data/*.jsonl
    content: text
    properties:
      year: meta.year
"""
COMPUTED = """\
      size: {compute: "measures:size", columns: text, type: int64, options: {log: LOG}}
      twice: {compute: "measures:twice", columns: [size, year], type: float64}
"""
MIXTURE = "mixture: {by: [year], weights: natural}\n"
MODULE = """\
import time
from pathlib import Path
import pyarrow.compute as pc

def size(batch, log):
    with open(log, "a") as file:
        file.write(f"{batch.num_rows}\\n")
    time.sleep(0.02)
    while Path(log).read_text().count("\\n") > 5 and Path(log).with_name("hold").exists():
        time.sleep(0.02)
    return pc.utf8_length(batch.column("text")).cast("int64")

def twice(batch):
    return pc.multiply(batch.column("size"), 2.0)
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    for number in range(FILES):
        write_lines(tmp_path / "data" / f"{number}.jsonl", range(number * ROWS, (number + 1) * ROWS))
    (tmp_path / "measures.py").write_text(MODULE)
    (tmp_path / "plain.yaml").write_text(PLAIN + MIXTURE)
    (tmp_path / "spec.yaml").write_text(PLAIN + COMPUTED.replace("LOG", str(tmp_path / "log")) + MIXTURE)
    return tmp_path / "spec.yaml"


def computed(spec: Path) -> int:
    """Rows that were computed since the last time this was asked."""
    log = spec.parent / "log"
    found = sum(map(int, log.read_text().split())) if log.exists() else 0
    log.unlink(missing_ok=True)
    return found


def test_a_run_that_is_killed_at_any_moment_loses_and_repeats_nothing(spec: Path, tmp_path: Path) -> None:
    begun = time.monotonic()
    assert finish(start(spec, tmp_path / "clean", "--workers", "2"))[0] == 0
    whole_seconds = time.monotonic() - begun
    clean = contents(spec, tmp_path / "clean")
    assert all(row["twice"] == 2 * int(str(row["size"])) for row in clean)
    catalog = tmp_path / "catalog"
    assert finish(start(spec.parent / "plain.yaml", catalog))[0] == 0
    plain = contents(spec.parent / "plain.yaml", catalog)
    computed(spec)
    deaths = whole = 0
    for number, moment in enumerate(moments(11, 12, whole_seconds)):
        if not killed(start(spec, catalog, "--workers", "2"), moment):
            whole += 1
            assert contents(spec, catalog) == clean
            touch_later(spec.parent / "data" / f"{number % FILES}.jsonl")
        else:
            deaths += 1
            # One that died behind its commit has done all of it.
            assert whole or contents(spec.parent / "plain.yaml", catalog) == plain or contents(spec, catalog) == clean
    assert deaths > 0
    code, _, err = finish(start(spec, catalog))
    assert code == 0, err
    assert contents(spec, catalog) == clean
    assert notes(catalog) == []


def test_what_a_killed_run_has_computed_is_not_computed_again(spec: Path, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    assert finish(start(spec.parent / "plain.yaml", catalog))[0] == 0
    (tmp_path / "hold").write_text("")
    process = start(spec, catalog, "--workers", "1")
    until(lambda: any(note.name != "run.json" for note in notes(catalog)), "a finished bundle")
    process.kill()
    finish(process)
    (tmp_path / "hold").unlink()
    done = {
        file["info"]["name"]
        for note in notes(catalog)
        if note.name != "run.json"
        for file in json.loads(note.read_text())["files"]
    }
    assert 0 < len(done) < FILES
    computed(spec)
    code, out, err = finish(start(spec, catalog, "--workers", "1", "--json"))
    assert code == 0, err
    assert json.loads(out)["sources"][0]["columns"] == ["size", "twice"]
    assert computed(spec) == (FILES - len(done)) * ROWS
    assert len(contents(spec, catalog)) == FILES * ROWS
    assert notes(catalog) == []


def test_a_function_that_fails_ends_with_one_line_and_changes_nothing(spec: Path, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    assert finish(start(spec.parent / "plain.yaml", catalog))[0] == 0
    before, files = contents(spec.parent / "plain.yaml", catalog), parquet_files(catalog)
    (tmp_path / "measures.py").write_text(MODULE.replace("return pc.multiply", "return 1 / 0\n    return pc.multiply"))
    for workers in ("1", "2"):
        code, out, err = finish(start(spec, catalog, "--workers", workers))
        assert (code, out) == (1, "")
        assert "property 'twice': measures:twice raised ZeroDivisionError: division by zero, for the rows " in err
        assert "Traceback" not in err
        assert contents(spec.parent / "plain.yaml", catalog) == before
    (tmp_path / "measures.py").unlink()
    code, _, err = finish(start(spec, catalog))
    assert code == 1
    assert f"there is no module 'measures' in {tmp_path} or among the installed packages" in err
    assert finish(start(spec.parent / "plain.yaml", catalog))[0] == 0
    assert parquet_files(catalog) == files
