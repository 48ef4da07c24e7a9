"""Losses by component in PyTorch: sums and counts over all data-parallel ranks, with one exchange and one wait.

::

    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    found = loss_by_component(losses.view_as(labels), batch["component_id"], components, mask=labels != -100)

    sums = component_sums(losses.view_as(labels), batch["component_id"], len(components), mask=labels != -100)
    found = report(job, step, sums)   # `+` adds the sums of micro-batches before
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed

from mixtera.adapters import losses as shared
from mixtera.adapters.losses import LossReport, checked
from mixtera.jobs import Job

__all__ = ["LossReport", "component_sums", "loss_by_component", "report"]


def loss_by_component(
    losses: torch.Tensor,
    component: torch.Tensor,
    components: Sequence[str],
    mask: torch.Tensor | None = None,
    group: torch.distributed.ProcessGroup | None = None,
) -> LossReport:
    """Sum the losses of every component over the ranks.

    Nothing waits for the device until the numbers are read at the end, and there is one `all_reduce`. Every rank of the
    group has to call it. Sums are in float64 (float32 on devices without it), whatever the losses are in.

    NaN and infinity count: they show in the sum of their component, and in no other. What the mask leaves out counts
    for nothing, NaN or not.

    Args:
        losses: [B, T], one per token, or [B]; without reduction. Not differentiated.
        component: [B] or [B, T] ids, as `component_id` of a batch.
        components: Names by id: those of the plan.
        mask: Like `losses`: which of them count; all by default.
        group: The data-parallel ranks; all by default, if `torch.distributed` is initialised.

    Raises:
        PlanError: Shapes do not fit, or tokens that count have the id of no component, on any rank: all ranks raise.
    """
    checked(components, losses.shape, component.shape, None if mask is None else mask.shape)
    return _over_ranks(components, component_sums(losses, component, len(components), mask), group)


def report(
    job: Job,
    step: int,
    losses: torch.Tensor | LossReport,
    group: torch.distributed.ProcessGroup | None = None,
    position: int | None = None,
) -> LossReport:
    """Tell a job the losses of a step: one `all_reduce`, and the first rank of the group sends, which nobody waits for.

    Every rank of the group calls it, after the batch was taken from the job's `loader` and before the next one is: the
    job then knows the position. Where several groups have the same losses, as with tensor parallelism, each sends them,
    and they count once.

    Args:
        job: The job.
        step: The step, ascending over the whole run.
        losses: What `component_sums` gave on this rank, or the sum of several of them; it is not changed. Or a report
            of all ranks: then nothing is exchanged.
        group: The ranks whose losses are added up; all by default, if `torch.distributed` is initialised.
        position: Position after the step, where the trainer takes batches from the loader before it needs them; by
            default that of the loader.

    Returns:
        The losses of all ranks.

    Raises:
        PlanError: Tokens that count have the id of no component, on any rank: all ranks raise.
        JobError: An earlier report did not reach the job.
    """
    found = losses if isinstance(losses, LossReport) else _over_ranks(job.components, losses.clone(), group)
    if not _is_distributed() or torch.distributed.get_rank(group) == 0:
        job.feedback(step, found.loss_sum, found.loss_count, position=position)
    return found


def component_sums(
    losses: torch.Tensor, component: torch.Tensor, size: int, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Sum the losses of every component on this rank; nothing waits for the device.

    Args:
        losses: [B, T], one per token, or [B]; without reduction. Not differentiated.
        component: [B] or [B, T] ids, as `component_id` of a batch.
        size: How many components there are.
        mask: Like `losses`: which of them count; all by default.

    Returns:
        [2, size + 1] float64 sums and counts by id (float32 on devices without it); the last are those of ids that no
        component has, which `report` refuses.
    """
    losses, component = losses.detach(), component.to(losses.device)
    kind = torch.float32 if losses.device.type == "mps" else torch.float64
    values = losses.to(kind)
    counted = torch.ones_like(values) if mask is None else mask.to(device=losses.device, dtype=torch.bool).to(kind)
    if mask is not None:
        values = torch.where(counted.bool(), values, torch.zeros_like(values))  # not a product: NaN × 0 is NaN
    if component.dim() < values.dim():  # a row is of one component: add its tokens first
        values, counted = values.sum(1), counted.sum(1)
    known = (component >= 0) & (component < size)
    ids = torch.where(known, component, size).to(torch.int64).flatten()
    both = torch.zeros(2, size + 1, dtype=kind, device=losses.device)
    return both.index_add_(1, ids, torch.stack([values.flatten(), counted.flatten()]))


def _over_ranks(
    components: Sequence[str], both: torch.Tensor, group: torch.distributed.ProcessGroup | None
) -> LossReport:
    if _is_distributed():
        torch.distributed.all_reduce(both, group=group)
    sums, counts = both.tolist()
    return shared.report(components, sums, counts)


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
