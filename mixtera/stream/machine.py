"""How many ranks there are on this machine, as whoever started them says."""

from __future__ import annotations

import os
from typing import Final

LOCAL: Final = (
    ("WORLD_SIZE", "LOCAL_WORLD_SIZE"),
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"),
)
"""Variables with the number of processes, and of those of a machine: of `torchrun` and of Open MPI."""
NODES: Final = "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES"
"""Variables with the number of processes, and of machines: of `srun`."""


def ranks_here(world_size: int) -> int:
    """Ranks on this machine, which follow each other; 1 where that is not known.

    It decides on how much is fetched, and never on what is delivered.

    Args:
        world_size: Ranks with samples of their own: as many as there are processes, or fewer.
    """
    machines = _machines(world_size)
    return world_size // machines if world_size % machines == 0 else 1


def _machines(world_size: int) -> int:
    """Machines that ranks are spread over, evenly; as many as ranks where that is not known."""
    for all_, local in LOCAL:
        processes, here = _number(all_), _number(local)
        if here and processes >= max(here, world_size) and processes % here == 0:
            return processes // here
    processes, machines = map(_number, NODES)
    if machines and processes >= world_size and processes % machines == 0:
        return machines
    return world_size


def _number(variable: str) -> int:
    """A positive number in the environment; 0 where there is none."""
    text = os.environ.get(variable, "")
    return int(text) if text.isascii() and text.isdecimal() else 0
