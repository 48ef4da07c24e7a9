"""Plans on disk: what is written is what is opened, and what is wrong is said."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from mixtera.artifact import layout
from mixtera.artifact.digest import digest
from mixtera.artifact.model import PlanData
from mixtera.errors import PlanError, StorageError
from tests.artifact.tiny import tiny


def saved(path: Path, data: PlanData | None = None) -> str:
    found = data or tiny()
    layout.write(str(path), found, digest(found))
    return str(path)


def same(one: PlanData, other: PlanData) -> bool:
    scalars = ("name", "sources", "components", "order", "timeline", "facts")
    tables = ("files", "segments", "entries")
    arrays = ("component_entries", "rows", "starts")
    return (
        all(getattr(one, name) == getattr(other, name) for name in scalars)
        and all(getattr(one, name).equals(getattr(other, name)) for name in tables)
        and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
        and one.starts.dtype == other.starts.dtype
    )


def test_round_trip(tmp_path: Path) -> None:
    opened = layout.open(saved(tmp_path / "new" / "plan"))
    assert same(opened.data, tiny())
    assert opened.digest == digest(opened.data) == digest(tiny())


def test_wide_starts_and_no_starts(tmp_path: Path) -> None:
    for starts in (np.array([0, 2**40], np.uint64), np.empty(0, np.uint32)):
        data = replace(tiny(), starts=starts)
        assert same(layout.open(saved(tmp_path / "plan", data)).data, data)


def test_opened_arrays_are_read_only_maps(tmp_path: Path) -> None:
    data = layout.open(saved(tmp_path / "plan")).data
    assert not data.rows.flags.writeable
    assert not data.starts.flags.owndata


def test_a_saved_plan_is_replaced_and_its_readers_keep_the_old_one(tmp_path: Path) -> None:
    old = layout.open(saved(tmp_path / "plan")).data
    rows = tiny().rows.copy()
    rows[0] = 1
    saved(tmp_path / "plan", replace(tiny(), rows=rows))
    assert layout.open(str(tmp_path / "plan")).data.rows[0] == 1
    assert same(old, tiny())
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]


def test_a_plan_can_be_saved_over_itself(tmp_path: Path) -> None:
    path = saved(tmp_path / "plan")
    saved(tmp_path / "plan", layout.open(path).data)
    assert same(layout.open(path).data, tiny())


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "plan").mkdir()
    assert same(layout.open(saved(tmp_path / "plan")).data, tiny())


def test_what_is_not_a_plan_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter-1.tex").write_text("…")
    with pytest.raises(PlanError, match="holds something that is not a plan"):
        saved(tmp_path / "thesis")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter-1.tex"]
    (tmp_path / "file").write_text("…")
    with pytest.raises(PlanError, match="is not a directory"):
        saved(tmp_path / "file")
    (tmp_path / "link").symlink_to(tmp_path / "thesis")
    with pytest.raises(PlanError, match="is not a directory"):
        saved(tmp_path / "link")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("…")
    with pytest.raises(StorageError, match="the plan cannot be written to"):
        saved(tmp_path / "file" / "plan")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_old_plan(tmp_path: Path) -> None:
    saved(tmp_path / "plan")
    script = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
from dataclasses import replace
import numpy as np
from mixtera.artifact import layout
from mixtera.errors import StorageError
from tests.artifact.tiny import tiny
try:
    layout.write({str(tmp_path / "plan")!r}, replace(tiny(), rows=np.zeros(5000, np.uint16)), "sha256:0")
except StorageError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert "the plan cannot be written to" in ran.stdout, ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]
    assert same(layout.open(str(tmp_path / "plan")).data, tiny())


@pytest.mark.parametrize("name", ["files.arrow", "segments.arrow", "entries.arrow", "rows.u16", "starts.u32"])
def test_files_that_are_missing_cut_short_or_changed(tmp_path: Path, name: str) -> None:
    path = tmp_path / "plan"
    for damage, reason in (
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), f"{name} has .* bytes instead of"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"\xfe"), f"{name} was changed"),
        (os.unlink, f"{name} is missing"),
    ):
        saved(path)
        damage(path / name)
        with pytest.raises(PlanError, match=f"the plan .* is damaged: {reason}"):
            layout.open(str(path))


def test_nothing_there_and_something_else_there(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="does not exist; `mixtera compile SPEC -o PLAN` makes one"):
        layout.open(str(tmp_path / "plan"))
    for content in (None, "", "[]", '{"name": "package"}'):
        if content is not None:
            (tmp_path / "plan.json").write_text(content)
        with pytest.raises(PlanError, match=r"is not a plan: it has no plan\.json of one"):
            layout.open(str(tmp_path))


def edited(path: Path, edit: Callable[[dict[str, object]], None]) -> None:
    document = msgspec.json.decode((path / "plan.json").read_bytes())
    edit(document)
    (path / "plan.json").write_bytes(msgspec.json.encode(document))


def test_a_changed_or_broken_document(tmp_path: Path) -> None:
    path = Path(saved(tmp_path / "plan"))
    whole = (path / "plan.json").read_bytes()
    for content, reason in (
        (whole.replace(b'"seed":17', b'"seed":18'), "plan.json was changed"),
        (whole[:-20], "plan.json: "),
        (whole[:17] + b"1}", "plan.json: .* missing required field"),
    ):
        (path / "plan.json").write_bytes(content)
        with pytest.raises(PlanError, match=f"is damaged: {reason}"):
            layout.open(str(path))


def test_a_plan_of_a_newer_version(tmp_path: Path) -> None:
    path = Path(saved(tmp_path / "plan"))
    edited(path, lambda document: document.update(mixtera_plan=5, novelty={"a": 1}))
    with pytest.raises(PlanError, match=r"newer Mixtera \(format version 5, this one reads up to 4\): upgrade"):
        layout.open(str(path))


def test_opening_loads_no_engine_and_no_catalog(tmp_path: Path) -> None:
    script = f"""
import sys
from mixtera.artifact import layout
layout.open({saved(tmp_path / "plan")!r})
print(sorted({{"duckdb", "ibis", "pyiceberg", "torch", "jax", "pandas", "sqlglot"}} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
