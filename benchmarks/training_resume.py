"""Whether a training that was stopped and goes on gets what one that went through has got."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from benchmarks.gpt import Shape, Trainer
from mixtera.adapters.torch import loader


def take(batches: Iterable[dict], count: int) -> list[dict]:
    """The first batches."""
    return list(itertools.islice(iter(batches), count))


def same(ours: Sequence[dict], theirs: Sequence[dict]) -> bool:
    """Whether batches are equal: every tensor element for element, every name."""
    return len(ours) == len(theirs) and all(
        one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
        for one, other in zip(ours, theirs, strict=True)
    )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def check_resume(plan: str, make: Callable[[], Trainer], shape: Shape, workers: Sequence[int], steps: int) -> dict:
    """Train through, and stop and go on with other workers: batches on the device, and losses, of both."""
    first, second = workers[0], workers[-1]

    def trained(trainer: Trainer, batches: Iterable[dict], count: int) -> tuple[list[dict], list[float]]:
        moved = [trainer.moved(batch) for batch in take(batches, count)]
        losses = [trainer.step(batch) * batch["loss_mask"] for batch in moved]
        return moved, [float(loss.sum() / batch["loss_mask"].sum()) for loss, batch in zip(losses, moved, strict=True)]

    through, expected = trained(make(), loader(plan, shape.batch, num_workers=first), 2 * steps)
    trainer, batches = make(), loader(plan, shape.batch, num_workers=second)
    trained(trainer, batches, steps)
    file = io.BytesIO()
    torch.save({**trainer.state(), "data": batches.state_dict()}, file)
    checkpoint = torch.load(io.BytesIO(file.getvalue()))
    trainer, batches = make(), loader(plan, shape.batch, num_workers=first)
    trainer.load(checkpoint)
    batches.load_state_dict(checkpoint["data"])
    found, losses = trained(trainer, batches, steps)
    return {
        "stopped after": steps,
        "workers": [second, first],
        "batches equal": same(found, through[steps:]),
        "device": str(found[0]["tokens"].device),
        "losses": [round(loss, 4) for loss in losses],
        "losses differ by at most": max(abs(a - b) for a, b in zip(losses, expected[steps:], strict=True)),
    }
