"""Which samples a JAX process works on: the rows of the global batch that its devices hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import numpy as np

from mixtera.adapters.axes import data_axes
from mixtera.errors import PlanError


@dataclass(frozen=True, slots=True)
class Coordinate:
    """The place of a process among those that read.

    Attributes:
        rank: Which part of the global batch its devices hold.
        world_size: Into how many parts the processes divide the batch.
        groups: For each part the processes that hold it; where only one reads, the first of them does. Empty: each
            process is alone.
    """

    rank: int
    world_size: int
    groups: tuple[tuple[int, ...], ...] = field(default=(), compare=False)


def topology(mesh: jax.sharding.Mesh, data: Sequence[str] | None = None) -> Coordinate:
    """The place of this process in a mesh: which part of a batch its devices hold, sharded over the axes of data.

    Processes whose devices differ only along other axes, such as `model` or `stage`, have the same rank, and read the
    same samples.

    Args:
        mesh: The mesh that the training runs on.
        data: Axes that the batch is sharded over; by default those whose names say so, such as `data` and `fsdp`.

    Raises:
        PlanError: A name does not tell, this process has no device in the mesh, or processes hold parts that overlap
            and are not equal.
    """
    names = tuple(str(name) for name in mesh.axis_names)
    along = [names.index(name) for name in data_axes(names, data)]
    rest = [place for place in range(len(names)) if place not in along]
    size = int(np.prod([mesh.devices.shape[place] for place in along], dtype=np.int64))
    rows = np.transpose(mesh.devices, [*along, *rest]).reshape(size, -1)
    parts: dict[int, set[int]] = {}
    for row, devices in enumerate(rows):
        for device in devices:
            parts.setdefault(device.process_index, set()).add(row)
    me = jax.process_index()
    if me not in parts:
        raise PlanError(f"process {me} has no device in the mesh of {', '.join(names)}")
    different = sorted({tuple(sorted(part)) for part in parts.values()})
    if sum(map(len, different)) != size or len(set(map(len, different))) > 1:
        raise PlanError(
            f"the processes hold parts {', '.join(map(str, different))} of {size} of the batch: they must be the same "
            "or have nothing in common, and be of one size; order the mesh's devices by process along the data axes"
        )
    groups = tuple(tuple(sorted(one for one in parts if tuple(sorted(parts[one])) == part)) for part in different)
    return Coordinate(different.index(tuple(sorted(parts[me]))), len(different), groups)


def coordinate_of(
    rank: int | None,
    world_size: int | None,
    given: Coordinate | None,
    sharding: jax.sharding.Sharding | None,
) -> Coordinate:
    """The coordinate that a loader is given, or that its process has.

    Raises:
        PlanError: More than one is given, or half of one.
    """
    if (rank is None) != (world_size is None):
        raise PlanError(f"rank is {rank} and world_size is {world_size}; give both, or neither")
    if given is not None:
        if rank is not None:
            raise PlanError("a topology is given, and rank and world_size too; give one of them")
        return given
    if rank is not None and world_size is not None:
        return Coordinate(rank, world_size)
    if isinstance(sharding, jax.sharding.NamedSharding):
        first = sharding.spec[0] if len(sharding.spec) else None
        axes = () if first is None else (first,) if isinstance(first, str) else tuple(first)
        return topology(sharding.mesh, axes)
    return Coordinate(jax.process_index(), jax.process_count())
