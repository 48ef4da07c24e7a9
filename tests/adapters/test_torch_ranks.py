"""Ranks of a mesh, in real processes: who reads what, one that reads for its group, ends and failures in common."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mixtera.adapters.axes import data_axes
from mixtera.adapters.torch import Coordinate, loader
from mixtera.artifact import digest, layout
from mixtera.errors import PlanError
from mixtera.jobs import Job
from mixtera.plan import Plan
from tests.jobs.following import decided, following_plan, steering
from tests.stream.written import written_plan

WORLD, BATCH = 4, 7
PROGRAM = Path(__file__).with_name("torch_rank.py")


def run(*arguments: str, world: int = WORLD) -> list[dict[str, Any]]:
    """What each rank says; all of them come to an end."""
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "tests.adapters.torch_rank"]
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(world), *arguments],
            env=environment,
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    try:
        said = [rank.communicate(timeout=600) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0] * world, "\n".join(error for _, error in said)
    return [json.loads(out.splitlines()[-1]) for out, _ in said]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """Four ranks over a job that ends, over a plan whose file is gone, and their meshes."""
    root = tmp_path_factory.mktemp("ranks")
    following_plan(root, steering(), epochs=(1.0, 1.0, 1.0))
    broken = written_plan(root / "broken")
    layout.write(str(root / "broken-plan"), broken, digest.digest(broken))
    (root / "broken" / "part-1.jsonl").unlink()
    return root, run(str(root))


def test_the_coordinate_is_that_of_the_data(found: tuple[Path, list[dict[str, Any]]]) -> None:
    meshes = [each["meshes"] for each in found[1]]
    assert [each["dp:2 tp:2"] for each in meshes] == [
        [0, 2, [0, 1], [0, 2]],
        [0, 2, [0, 1], [1, 3]],
        [1, 2, [2, 3], [0, 2]],
        [1, 2, [2, 3], [1, 3]],
    ]
    assert [each["dp_replicate:2 dp_shard:2"][:3] for each in meshes] == [[rank, 4, [rank]] for rank in range(4)]
    pipeline = [[rank % 2, 2, [rank % 2, rank % 2 + 2]] for rank in range(4)]
    assert [each["pp:2 dp_shard:2"][:3] for each in meshes] == pipeline
    assert [each["dp_replicate:1 dp_shard:2 cp:2"][:2] for each in meshes] == [[0, 2], [0, 2], [1, 2], [1, 2]]
    assert [each["ep:2 tp:2"][:2] for each in meshes] == [[0, 2], [0, 2], [1, 2], [1, 2]]
    assert [each["pp:2 tp:2"] for each in meshes] == [[0, 1, [0, 1, 2, 3], [rank]] for rank in range(4)]
    assert {each["odd"] for each in meshes} == {
        "the mesh has the dimension 'foo', whose name does not tell whether its ranks work on the same samples; say "
        "which dimensions have samples of their own, out of dp, foo: data=(…)"
    }
    assert [each["odd, told"][:2] for each in meshes] == [[0, 2], [0, 2], [1, 2], [1, 2]]


@pytest.mark.parametrize("how", ["every 0", "first 0", "first 1"])
def test_peers_get_the_same_batches_and_all_end_together(found: tuple[Path, list[dict[str, Any]]], how: str) -> None:
    root, ranks = found
    got = [each["read"][how] for each in ranks]
    assert got[0]["samples"] == got[1]["samples"]
    assert got[2]["samples"] == got[3]["samples"]
    assert len(got[0]["samples"]) == len(got[2]["samples"]) > 10
    with Job.local(None, str(root / f"job {how}")) as job:
        plan = job.decided()
        order = decided(job, 0, len(plan))
        assert job.status()["topology"] == {"world_size": 2, "batch_size": BATCH, "start": 0}
    steps = len(order) // (2 * BATCH)
    pairs = zip(got[0]["samples"], got[2]["samples"], strict=True)
    merged = [sample for pair in pairs for each in pair for sample in each]
    assert merged == [sample for _, sample in order[: steps * 2 * BATCH]]
    assert {each["position"] for each in got} == {steps * 2 * BATCH}
    who = {"every 0": [True] * 4, "first 0": [True, False] * 2, "first 1": [False] * 4}  # the last: in a worker
    assert [each["opened files"] for each in got] == who[how]


def test_text_and_names_arrive_as_they_are_read(found: tuple[Path, list[dict[str, Any]]]) -> None:
    batches = [each["read"]["first 1"]["first"] for each in found[1]]
    assert batches[0] == batches[1] == found[1][0]["read"]["every 0"]["first"]
    assert all(text.startswith("file ") for text in batches[0]["text"])


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_the_reader_fails_with_reaches_its_group(found: tuple[Path, list[dict[str, Any]]], workers: str) -> None:
    said = [each["failures"][workers] for each in found[1]]
    assert {kind for kind, _ in said} == {"StorageError"}
    assert all("cannot read" in text and "part-1.jsonl" in text for _, text in said)
    assert [text.startswith("the rank that reads for this one failed: ") for _, text in said] == [False, True] * 2


def test_losses_of_a_step_are_told_once_over_the_ranks_of_a_group(found: tuple[Path, list[dict[str, Any]]]) -> None:
    root, ranks = found
    told = [each["losses"] for each in ranks]
    assert told[0] == told[2]  # ranks 0 and 2 are a data group: losses of 1 and 3
    assert told[1] == told[3]  # ranks 1 and 3, on the same samples: 2 and 4
    assert [each[1:] for each in told] == [[2, 30]] * 4
    for (even, counts), (odd, others) in zip(told[0][0], told[1][0], strict=True):
        assert counts == others
        assert sum(counts.values()) == 2 * 2 * 10  # two micro-batches of 5 rows of 2, on two ranks
        assert (sum(even.values()), sum(odd.values())) == (20 * 1 + 20 * 3, 20 * 2 + 20 * 4)
    journal = (root / "job losses" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line)["record"] for line in journal]
    reports = [record["report"] for record in records if record["kind"] == "reported"]
    assert [(report["step"], report["position"], report["size"]) for report in reports] == [
        (0, 10, 10),
        (1, 20, 10),
        (2, 30, 10),
    ]


def test_wrong_arguments_are_refused(plan: Plan) -> None:
    with pytest.raises(PlanError, match="read is 'second'; it must be one of every, first"):
        loader(plan, 8, read="second")  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="needs a topology"):
        loader(plan, 8, read="first")
    with pytest.raises(PlanError, match="give one of them"):
        loader(plan, 8, rank=0, world_size=1, topology=Coordinate(0, 1))
    alone = loader(plan, 8, topology=Coordinate(1, 2, (0,)), read="first")
    assert len(alone) == len(plan) // 16


@pytest.mark.parametrize("given", [("dp", "x"), "dp"])
def test_dimensions_that_are_none_are_refused(given: Any) -> None:
    with pytest.raises(PlanError, match="give names of dimensions of the mesh: dp, tp"):
        data_axes(("dp", "tp"), given)
