"""Which rank this process is, when the caller does not say."""

from __future__ import annotations

import os

import torch.distributed

from mixtera.errors import PlanError


def resolved(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """The rank and the number of ranks.

    What is given counts; else the default process group of `torch.distributed`, if it is initialised; else `RANK` and
    `WORLD_SIZE`, which `torchrun` sets; else one rank. With tensor or pipeline parallelism give them: ranks that work
    on the same samples have the same data rank.

    Raises:
        PlanError: Only one of the two is given.
    """
    if rank is not None and world_size is not None:
        return rank, world_size
    if rank is not None or world_size is not None:
        raise PlanError(f"rank is {rank} and world_size is {world_size}; give both, or neither")
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return 0, 1
