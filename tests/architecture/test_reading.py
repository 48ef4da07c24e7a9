"""What a training process loads to read a plan: as little as possible, for its start and its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mixtera
from mixtera.demo.corpus import build
from mixtera.demo.specs import copy_specs
from tests.miniature import installation

HEAVY = {"pandas", "duckdb", "ibis", "pyiceberg", "sqlalchemy", "torch", "jax", "yaml", "rich"}
PROGRAM = """
import sys, mixtera
plan = mixtera.Plan.open(sys.argv[1])
stream = plan.stream(batch_size=16)
batch = next(iter(stream))
assert batch["sample"].to_pylist() == plan.samples(0, 16)["sample"].to_pylist()
stream.close()
print(*sys.modules)
"""


def test_reading_json_lines_and_parquet_needs_nothing_heavy(tmp_path: Path) -> None:
    build(tmp_path / "corpus", installation(tmp_path / "installation"))
    copy_specs(tmp_path)
    spec = mixtera.load(str(tmp_path / "demo.yaml"))
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    catalog.index(spec)
    mixtera.compile(spec, catalog).save(str(tmp_path / "plan"))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "plan")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.split()) & HEAVY
