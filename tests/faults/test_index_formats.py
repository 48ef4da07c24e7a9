"""Every format: a run that is killed goes on, and files that move under a run are refused and nothing is committed."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from mixtera.catalog import Catalog
from mixtera.catalog.columns import numbered, sample_columns
from mixtera.catalog.listing import list_files
from mixtera.catalog.scan import scan_bundle
from mixtera.catalog.scanning import Bundle, numbered_files
from mixtera.contracts.format import ContentColumn
from mixtera.errors import StorageError
from mixtera.spec import load
from tests.catalog.contents import rows
from tests.catalog.corpus import touch_later
from tests.faults.test_index_faults import finish, killed, moments, start

KINDS = ("jsonl", "csv", "text", "parquet", "arrow")
FILES = 10
ROWS = 20_000


def write(path: Path, kind: str, count: int = ROWS, first: int = 0) -> Path:
    numbers = range(first, first + count)
    if kind == "text":
        path.write_text(f"text {first} " * count)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps({"text": f"sample {n}", "n": n}) + "\n" for n in numbers))
    elif kind == "csv":
        path.write_text("text,n\n" + "".join(f"sample {n},{n}\n" for n in numbers))
    else:
        table = pa.table({"text": [f"sample {n}" for n in numbers], "n": list(numbers)})
        pq.write_table(table, path) if kind == "parquet" else feather.write_feather(table, str(path))
    return path


def place(tmp_path: Path, kind: str, count: int = ROWS) -> Path:
    (tmp_path / "data").mkdir()
    for number in range(FILES):
        write(tmp_path / "data" / f"{number}.x", kind, count, number * count)
    properties = "" if kind == "text" else ", properties: {n: {path: n, type: int64}}"
    (tmp_path / "spec.yaml").write_text(
        f'version: 1\nsources: {{web: {{path: "data/*.x", format: {kind}, content: text{properties}}}}}\n'
        "mixture: {by: dataset}\n"
    )
    return tmp_path / "spec.yaml"


def contents(spec: Path, catalog: Path) -> list[dict[str, object]]:
    opened = Catalog.open(str(catalog), create=False)
    return rows(opened, load(str(spec)).sources[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_is_killed_at_any_moment_goes_on(kind: str, tmp_path: Path) -> None:
    spec = place(tmp_path, kind)
    loaded = load(str(spec))
    begun = time.monotonic()
    assert finish(start(spec, tmp_path / "clean", "--workers", "2"))[0] == 0
    whole_seconds = time.monotonic() - begun
    clean = contents(spec, tmp_path / "clean")
    assert len(clean) == (FILES if kind == "text" else FILES * ROWS)
    catalog, deaths = tmp_path / "catalog", 0
    for number, moment in enumerate(moments(3, 4, whole_seconds)):
        deaths += killed(start(spec, catalog, "--workers", "2"), moment)
        opened = Catalog.open(str(catalog))
        if opened.sources():
            assert contents(spec, catalog) == clean
            touch_later(tmp_path / "data" / f"{number}.x")
    assert deaths
    Catalog.open(str(catalog)).index(loaded)
    assert contents(spec, catalog) == clean
    assert list((catalog / "warehouse" / "web" / "data").rglob("*.json")) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["replaced", "appended to", "deleted"])
def test_a_file_that_moves_between_the_listing_and_the_scan(how: str, kind: str, tmp_path: Path) -> None:
    """The same bundle that a run makes of its listing, scanned after a file moved."""
    (web,) = load(str(place(tmp_path, kind, 20))).sources
    files = list_files(web)
    moved = tmp_path / "data" / "3.x"
    facts = moved.stat()
    if how == "replaced":
        other = write(tmp_path / "other", kind, 20, 3 * 20)
        assert other.stat().st_size == facts.st_size, "only its time tells"
        other.replace(moved)
        os.utime(moved, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    elif how == "deleted":
        moved.unlink()
    else:
        with moved.open("ab") as file:
            file.write(b"x")
    from mixtera.catalog.definition import define

    definition = define(web, files[:1], (), None)
    columns = numbered(sample_columns(definition.types))
    content = (ContentColumn("text", "text"),)
    ids = {file.name: number for number, file in enumerate(files)}
    found = tuple(numbered_files(files, ids))
    (tmp_path / "out").mkdir()
    bundle = Bundle(
        "web", kind, definition.properties, content, web.paths, columns, "skip", found, str(tmp_path / "out"), "0"
    )
    with pytest.raises(StorageError, match=r"3\.x"):
        scan_bundle(bundle, lambda size, count: None)


def test_a_listing_that_changes_while_a_run_goes_on(tmp_path: Path) -> None:
    """A file that vanishes under a run is an error, one that comes is for the next; the old state stays till then."""
    spec = place(tmp_path, "jsonl")
    loaded = load(str(spec))
    catalog = tmp_path / "catalog"
    Catalog.open(str(catalog)).index(loaded)
    before = contents(spec, catalog)
    for number in range(FILES):
        touch_later(tmp_path / "data" / f"{number}.x")
    write(tmp_path / "data" / "z.x", "jsonl")
    process = start(spec, catalog, "--workers", "2")
    while process.poll() is None and not list((catalog / "warehouse" / "web" / "data").rglob("run.json")):
        time.sleep(0.001)
    process.send_signal(signal.SIGSTOP)
    listed = sorted(path.name for path in (tmp_path / "data").iterdir())
    (tmp_path / "data" / listed[-1]).unlink()
    for number in range(FILES):
        (tmp_path / "data" / f"{number}.x").rename(tmp_path / f"{number}.x")
    write(tmp_path / "data" / "new.x", "jsonl", 5)
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate()
    if process.returncode:  # it had not read everything before it was stopped
        assert process.returncode == 3, err
        assert "no file" in err or "was replaced or deleted" in err
        assert "Traceback" not in err
        assert contents(spec, catalog) == before
    for number in range(FILES):
        (tmp_path / f"{number}.x").rename(tmp_path / "data" / f"{number}.x")
    (report,) = Catalog.open(str(catalog)).index(loaded).sources
    assert report.new == 1
    assert report.samples == FILES * ROWS + 5
