"""Losses by component in JAX: in the compiled step, or beside it, over all devices and processes.

::

    sums, counts = component_sums(losses, component_id, len(components), mask)   # in the step that is compiled
    found = report(job, step, sums, counts)                                      # outside: tells a job
    found = loss_by_component(losses, component_id, components, mask)            # outside, in every process
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from mixtera.adapters import losses as shared
from mixtera.adapters.losses import LossReport, checked
from mixtera.errors import PlanError
from mixtera.jobs import Job

__all__ = ["LossReport", "component_sums", "loss_by_component", "loss_report", "report"]


def component_sums(
    losses: jax.Array,
    component: jax.Array,
    size: int,
    mask: jax.Array | None = None,
    axis_name: str | tuple[str, ...] | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Sum the losses of every component; for use under `jit`, where nothing waits for it.

    Over sharded arrays the sums are already those of all devices. Under `shard_map` and `pmap`, which see one device's
    part, give the axis.

    NaN and infinity count: they show in the sum of their component, and in no other. What the mask leaves out counts
    for nothing.

    Args:
        losses: [B, T], one per token, or [B].
        component: [B] or [B, T] ids, as `component_id` of a batch.
        size: How many components there are.
        mask: Like `losses`: which of them count; all by default.
        axis_name: Axis, or axes, of the mapped devices to add up over, with `jax.lax.psum`.

    Returns:
        [size + 1] float32 sums (float64 where JAX keeps it) and [size + 1] int32 counts; the last of each is of ids
        that no component has: `loss_report` refuses them.
    """
    values = losses.astype(jnp.float64 if jax.config.jax_enable_x64 else jnp.float32)
    counted = jnp.ones(losses.shape, bool) if mask is None else mask.astype(bool)
    values = jnp.where(counted, values, 0)  # not a product: NaN × 0 is NaN
    counts = counted.astype(jnp.int32)
    if component.ndim < losses.ndim:  # a row is of one component: add its tokens first
        values, counts = values.sum(1), counts.sum(1)
    ids = jnp.where((component >= 0) & (component < size), component, size).ravel()
    both = (
        jax.ops.segment_sum(values.ravel(), ids, num_segments=size + 1),
        jax.ops.segment_sum(counts.ravel(), ids, num_segments=size + 1),
    )
    return both if axis_name is None else jax.lax.psum(both, axis_name)


def loss_report(components: Sequence[str], sums: jax.Array, counts: jax.Array) -> LossReport:
    """The report of what `component_sums` gave; waits for it.

    Raises:
        PlanError: Tokens that count have the id of no component.
    """
    return shared.report(components, np.asarray(sums).tolist(), np.asarray(counts).tolist())


def report(job: Job, step: int, sums: jax.Array, counts: jax.Array, position: int | None = None) -> LossReport:
    """Tell a job the losses of a step; the first process sends, which nobody waits for.

    Call it in every process, after the batch was taken from the job's `MixteraLoader` and before the next one is: the
    job then knows the position. It waits for the sums.

    Args:
        job: The job.
        step: The step, ascending over the whole run.
        sums: What `component_sums` gave: over all devices, and whole on each of them (`out_shardings` without axes).
        counts: Likewise.
        position: Position after the step, where the trainer takes batches from the loader before it needs them; by
            default that of the loader.

    Raises:
        PlanError: Tokens that count have the id of no component.
        JobError: An earlier report did not reach the job.
    """
    found = loss_report(job.components, sums, counts)
    if jax.process_index() == 0:
        job.feedback(step, found.loss_sum, found.loss_count, position=position)
    return found


def loss_by_component(
    losses: jax.Array, component: jax.Array, components: Sequence[str], mask: jax.Array | None = None
) -> LossReport:
    """Sum the losses of every component over all processes; every process has to call it, outside of `jit`.

    Args:
        losses: [B, T], one per token, or [B]: global arrays, or each process its own part.
        component: [B] or [B, T] ids, likewise global or not.
        components: Names by id: those of the plan.
        mask: Like `losses`: which of them count; all by default.

    Raises:
        PlanError: Shapes do not fit, some arrays are global and others are not, or tokens that count have the id of no
            component.
    """
    checked(components, losses.shape, component.shape, None if mask is None else mask.shape)
    given = [losses, component] if mask is None else [losses, component, mask]
    local = {array.is_fully_addressable for array in map(_array, given)}
    if len(local) > 1:
        raise PlanError(
            "some of losses, component and mask are global arrays and others are this process's own; give all of them "
            "as they come out of the same step"
        )
    if local == {False}:
        return loss_report(components, *_global_sums(losses, component, len(components), mask))
    sums, counts = _local_sums(losses, component, len(components), mask)
    if jax.process_count() == 1:
        return loss_report(components, sums, counts)
    return _gathered(components, sums, counts)


_local_sums = jax.jit(component_sums, static_argnums=2)


def _array(value: jax.Array) -> jax.Array:
    return value if isinstance(value, jax.Array) else jnp.asarray(value)


def _global_sums(
    losses: jax.Array, component: jax.Array, size: int, mask: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """Sums that every process can read: the compiler is told to leave them whole on every device."""
    if not isinstance(losses.sharding, jax.sharding.NamedSharding):
        raise PlanError(
            f"losses are global arrays with the sharding {losses.sharding}; give ones on a mesh (NamedSharding), "
            "or call component_sums in the step"
        )
    return _sums_of_mesh(losses.sharding.mesh)(losses, component, size, mask)


@cache
def _sums_of_mesh(mesh: jax.sharding.Mesh) -> Callable[..., tuple[jax.Array, jax.Array]]:
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return jax.jit(component_sums, static_argnums=2, out_shardings=(whole, whole))  # type: ignore[no-any-return]


def _gathered(components: Sequence[str], sums: jax.Array, counts: jax.Array) -> LossReport:
    """Each process has its own sums: bring them together on the host, where they have 64 bits."""
    from jax.experimental.multihost_utils import process_allgather

    all_sums, all_counts = process_allgather((sums, counts))
    return shared.report(
        components,
        np.asarray(all_sums, np.float64).sum(0).tolist(),
        np.asarray(all_counts, np.int64).sum(0).tolist(),
    )
