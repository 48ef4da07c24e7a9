"""Ranks of a machine, as those that start processes tell."""

from __future__ import annotations

import pytest

from mixtera.stream.machine import ranks_here

TOLD = (
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_STEP_NUM_NODES",
)
TORCHRUN = {"WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}
TORCHRUN_BY_SRUN = TORCHRUN | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "2"}


@pytest.mark.parametrize(
    ("told", "world_size", "here"),
    [
        ({}, 1, 1),
        ({}, 16, 1),
        (TORCHRUN, 16, 8),
        (TORCHRUN, 4, 2),  # groups of four work on the same samples
        (TORCHRUN, 2, 1),
        (TORCHRUN, 1, 1),
        (TORCHRUN, 32, 1),  # not those that torchrun has started
        (TORCHRUN | {"LOCAL_WORLD_SIZE": "16"}, 16, 16),
        (TORCHRUN_BY_SRUN, 16, 8),
        ({"OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_LOCAL_SIZE": "4"}, 8, 4),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2"}, 8, 4),
        ({"WORLD_SIZE": "7", "LOCAL_WORLD_SIZE": "4"}, 7, 1),  # machines with different numbers
        ({"WORLD_SIZE": "eight", "LOCAL_WORLD_SIZE": "-1"}, 8, 1),
        ({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "0"}, 8, 1),
        ({"WORLD_SIZE": "٨", "LOCAL_WORLD_SIZE": "٨"}, 8, 1),
    ],
)
def test_ranks_of_a_machine(told: dict[str, str], world_size: int, here: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TOLD:
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert ranks_here(world_size) == here
