"""Which samples this process works on, and with whom."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch.distributed

from mixtera.adapters.axes import data_axes
from mixtera.errors import PlanError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup
    from torch.distributed.device_mesh import DeviceMesh


@dataclass(frozen=True, slots=True)
class Coordinate:
    """The place of a process among those that read.

    Attributes:
        rank: Which of the groups with samples of their own it belongs to.
        world_size: How many of them there are.
        peers: Global ranks of all that work on the same samples, this process among them; the first of them reads
            where only one does. Empty: it is alone.
        data: Global ranks that stand where it stands in the other groups, itself among them: those over which its
            losses are added up. Empty: all.
    """

    rank: int
    world_size: int
    peers: tuple[int, ...] = ()
    data: tuple[int, ...] = ()

    def data_group(self, backend: str | None = None) -> ProcessGroup | None:
        """A process group of `data`, for `mixtera.adapters.torch.losses`; None for all. All of its ranks call this."""
        return group_of(self.data, backend) if self.data else None


def topology(mesh: DeviceMesh, data: Sequence[str] | None = None) -> Coordinate:
    """The place of this process in a mesh.

    Its rank counts the places along the dimensions that have samples of their own, such as `dp`, `dp_replicate`,
    `dp_shard` and `ep`, in the order of the mesh; ranks that differ only in `tp`, `pp` or `cp` have the same one.

    Args:
        mesh: The whole mesh, with names.
        data: Dimensions that have samples of their own, where the names do not tell.

    Raises:
        PlanError: A name does not tell, there are none, or this process is not in the mesh.
    """
    names = mesh.mesh_dim_names
    if names is None:
        raise PlanError("the mesh has no names; make it with init_device_mesh(…, mesh_dim_names=…)")
    along = data_axes(names, data)
    order = [names.index(name) for name in along]
    rest = [place for place in range(len(names)) if place not in order]
    ranks = mesh.mesh.permute(*order, *rest)
    size = 1
    for place in order:
        size *= mesh.mesh.shape[place]
    table: list[list[int]] = ranks.reshape(size, -1).tolist()
    me = torch.distributed.get_rank()
    for rank, peers in enumerate(table):
        if me in peers:
            place = peers.index(me)
            return Coordinate(rank, size, tuple(peers), tuple(row[place] for row in table))
    raise PlanError(f"rank {me} is not in the mesh of {', '.join(names)}; give the mesh that it trains in")


def group_of(ranks: Sequence[int], backend: str | None = None) -> ProcessGroup:
    """A process group of some ranks, all of which call this, and no others."""
    made: ProcessGroup = torch.distributed.new_group(list(ranks), backend=backend, use_local_synchronization=True)
    return made


def resolved(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """The rank and the number of ranks.

    What is given counts; else the default process group of `torch.distributed`, if it is initialised; else `RANK` and
    `WORLD_SIZE`, which `torchrun` sets; else one rank. With tensor or pipeline parallelism give a `Coordinate`, or
    them: ranks that work on the same samples have the same data rank.

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


def coordinate_of(rank: int | None, world_size: int | None, given: Coordinate | None) -> Coordinate:
    """The coordinate that an adapter is given, or that its process has.

    Raises:
        PlanError: More than one is given, or half of one.
    """
    if given is None:
        return Coordinate(*resolved(rank, world_size))
    if rank is not None or world_size is not None:
        raise PlanError("a topology is given, and rank or world_size too; give one of them")
    return given
