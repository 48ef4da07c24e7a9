"""Temporary files: there is room for them, or an error; they are gone when the process is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mixtera.compiler.scratch import scratch

PROJECT = Path(__file__).parents[2]
COMPILE = """
import resource, signal, sys
from pathlib import Path
from mixtera.compiler import compile
from mixtera.errors import MixteraError
from mixtera.testing.catalog import MadeFile, MadeSource
from tests.compiler.made import catalog_of, spec_of
folder = Path(sys.argv[1])
source = MadeSource("web", {"n": "int64"}, [MadeFile("a", 1, [{"n": 1}] * 30_000)])
spec, catalog = spec_of(folder, "mixture: {by: n}\\n", (source,)), catalog_of(folder, (source,))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[2]) or resource.RLIM_INFINITY
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    plan = compile(spec, catalog)
except MixteraError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def compiled(folder: Path, limit: int) -> subprocess.CompletedProcess[str]:
    (folder / "tmp").mkdir()
    command = [sys.executable, "-c", COMPILE, str(folder), str(limit)]
    environment = os.environ | {"TMPDIR": str(folder / "tmp")}
    return subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, env=environment)


@pytest.mark.parametrize("limit", [10_000, 100_000])
def test_no_room_is_an_error_and_leaves_nothing(tmp_path: Path, limit: int) -> None:
    ran = compiled(tmp_path, limit)
    assert ran.returncode == 1
    assert ran.stderr.startswith("StorageError: "), ran.stderr
    assert "cannot" in ran.stderr
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_process_leaves_nothing_behind(tmp_path: Path) -> None:
    ran = compiled(tmp_path, 0)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_scratch_has_no_name_and_is_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    array = scratch(1000, np.uint16)
    assert list(tmp_path.iterdir()) == []
    array[5] = 7
    assert array.sum() == 7
    assert len(scratch(0, np.uint16)) == 0
