"""What a training process loads to read a plan: as little as possible, for its start and its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

import mixtera
from mixtera.demo.corpus import build
from mixtera.demo.specs import copy_specs
from tests.miniature import installation

HEAVY = {"pandas", "duckdb", "ibis", "pyiceberg", "sqlalchemy", "torch", "jax", "yaml", "rich"}
URLS = ("mixtera_backends.storage.s3", "mixtera_backends.storage.fsspec")
"""Storages that a path has no use for; if they are loaded, the entry points may be those of an earlier installation."""
PROGRAM = """
import sys, mixtera
plan = mixtera.Plan.open(sys.argv[1])
stream = plan.stream(batch_size=16)
batch = next(iter(stream))
assert batch["sample"].to_pylist() == plan.samples(0, 16)["sample"].to_pylist()
stream.close()
print(*sys.modules)
"""
TOKENS_PROGRAM = """
import sys, mixtera
stream = mixtera.Plan.open(sys.argv[1]).stream(batch_size=16)
assert all(max(row) < 128 for row in next(stream)["tokens"].to_pylist())
stream.close()
print(*sys.modules)
"""
TOKENS_SPEC = """
version: 1
name: ready
sources: {a: {path: a.u16, format: {name: tokens, length: 8}, content: tokens}}
mixture: {by: dataset}
order: {chunk_size: 16, lanes: 1, granule: 16}
tokens: {tokenizer: bytes, sequence_length: 7}
"""


def test_reading_json_lines_and_parquet_needs_nothing_heavy(tmp_path: Path) -> None:
    build(tmp_path / "corpus", installation(tmp_path / "installation"))
    copy_specs(tmp_path)
    spec = mixtera.load(str(tmp_path / "demo.yaml"))
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    catalog.index(spec)
    mixtera.compile(spec, catalog).save(str(tmp_path / "plan"))
    loaded = modules(PROGRAM, tmp_path / "plan")
    assert not loaded & HEAVY
    assert not [name for name in loaded if name.startswith(URLS)]


def test_reading_token_files_needs_no_functions_of_arrow(tmp_path: Path) -> None:
    np.arange(128, dtype="<u2").tofile(tmp_path / "a.u16")
    (tmp_path / "spec.yaml").write_text(TOKENS_SPEC)
    spec = mixtera.load(str(tmp_path / "spec.yaml"))
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    catalog.index(spec)
    mixtera.compile(spec, catalog).save(str(tmp_path / "plan"))
    loaded = modules(TOKENS_PROGRAM, tmp_path / "plan")
    assert not loaded & (HEAVY | {"pyarrow.compute"})


def modules(program: str, plan: Path) -> set[str]:
    """What a process has loaded that reads a plan."""
    done = subprocess.run([sys.executable, "-c", program, str(plan)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())
