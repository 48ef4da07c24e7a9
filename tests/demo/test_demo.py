"""The demo goes the whole way, and fails loudly when readers disagree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mixtera
from mixtera.demo import readers
from mixtera.demo.shares import shares
from mixtera.demo.specs import copy_specs, example_specs

ROOT = Path(__file__).parents[2]


PROGRAM = """
import json, sys
from pathlib import Path
from rich.console import Console
from mixtera.demo.run import run_demo
from tests.miniature import installation
directory, outcome, root = map(Path, sys.argv[1:])
found = run_demo(directory, Console(width=120), installation(root))
outcome.write_text(json.dumps(found.to_json()))
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[dict[str, object]]]:
    """Two runs in one directory: the directory, what each printed, what each returned."""
    root = tmp_path_factory.mktemp("demo")
    printed, outcomes = [], []
    for _ in range(2):
        arguments = [str(root / "made"), str(root / "outcome.json"), str(root / "installation")]
        command = [sys.executable, "-W", "error", "-c", PROGRAM, *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        printed.append(done.stdout)
        outcomes.append(json.loads((root / "outcome.json").read_text()))
    return root / "made", printed, outcomes


def test_the_demo_shows_every_step(demo: tuple[Path, list[str], list[dict[str, object]]]) -> None:
    text = demo[1][0]
    for word in (
        "corpus",
        "indexed",
        "prose/documentation",
        "PyTorch",
        "JAX",
        "samples/s",
        "planned ones",
        "resumed",
        "sha256:",
    ):
        assert word in text


def test_a_second_run_makes_nothing_anew_and_finds_the_same(
    demo: tuple[Path, list[str], list[dict[str, object]]],
) -> None:
    _, (first, second), (one, two) = demo
    assert "built in" in first
    assert "there already, unchanged" in second
    assert [one[k] for k in ("digest", "shares", "samples")] == [two[k] for k in ("digest", "shares", "samples")]


def test_what_it_leaves_can_be_used(demo: tuple[Path, list[str], list[dict[str, object]]]) -> None:
    directory, _, (outcome, _) = demo
    plan = mixtera.Plan.open(str(directory / "plan"))
    assert plan.digest == outcome["digest"]
    assert mixtera.load(str(directory / "natural.yaml")).name == "natural"


def test_the_shares_are_within_the_law(demo: tuple[Path, list[str], list[dict[str, object]]]) -> None:
    plan = mixtera.Plan.open(str(demo[0] / "plan"))
    found = shares(plan, len(plan))
    assert sum(share.asked for share in found) == pytest.approx(1)
    assert sum(share.samples for share in found) == len(plan)
    assert all(share.furthest < 4 for share in found)


@pytest.mark.parametrize("path", example_specs(), ids=lambda path: path.stem)
def test_every_example_spec_compiles_and_streams(
    demo: tuple[Path, list[str], list[dict[str, object]]], path: Path, tmp_path: Path
) -> None:
    spec = mixtera.load(str(demo[0] / path.name))
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    catalog.index(spec)
    plan = mixtera.compile(spec, catalog)
    assert str(mixtera.explain(plan))
    batch = next(iter(plan.stream(batch_size=16)))
    assert batch.num_rows == 16
    assert batch["sample"].to_pylist() == plan.samples(0, 16)["sample"].to_pylist()


def test_a_reader_that_saw_other_samples_is_an_error_with_the_position() -> None:
    planned = np.arange(10)
    readers.check_same(planned, planned.copy(), "itself")
    swapped = np.array([0, 1, 2, 4, 3, 5, 6, 7, 8, 9])
    with pytest.raises(mixtera.StateError, match="position 3"):
        readers.check_same(planned, swapped, "a reader")
    with pytest.raises(mixtera.StateError, match="position 8"):
        readers.check_same(planned, planned[:8], "a short reader")


def test_specs_that_cannot_be_written_are_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(mixtera.StorageError, match="nowhere"):
        copy_specs(tmp_path / "nowhere")
