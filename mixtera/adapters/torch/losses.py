"""Losses by component in PyTorch: sums and counts over all data-parallel ranks, with one exchange and one wait.

::

    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    report = loss_by_component(losses.view_as(labels), batch["component_id"], components, mask=labels != -100)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed

from mixtera.adapters.losses import LossReport, checked, report

__all__ = ["LossReport", "loss_by_component"]


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
    both = _sums(losses.detach(), component.to(losses.device), len(components), mask)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(both, group=group)
    sums, counts = both.tolist()
    return report(components, sums, counts)


def _sums(losses: torch.Tensor, component: torch.Tensor, size: int, mask: torch.Tensor | None) -> torch.Tensor:
    """[2, size + 1]: sums and counts by id; the last are those of ids that no component has."""
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
