"""The laws of the order and the stream (DESIGN 2.7), as checks of one plan; each raises AssertionError."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from mixtera.plan import Plan

SHARE_BOUND = 4
"""Samples that a component may be away from its exact share, at any prefix, however many components there are.

Weights that do not change keep within `mixtera.order.seats.WITHIN`; a phase adds the rounding where it began, and a
ramp that it is a staircase. Plans of order version 1 keep to it where few components have about the same weight.
"""


def assert_shares_hold(plan: Plan, start: int, stop: int) -> None:
    """Law 3: over positions of one phase, every prefix holds each component's exact share within SHARE_BOUND samples.

    Args:
        plan: The plan.
        start: First position; the phase that holds it is checked from its own first position.
        stop: Position after the last; it lies in the same phase.
    """
    phase = next(p for p in reversed(plan.data.timeline.phases) if p.first <= start)
    weights = np.array(phase.weights)
    filled = plan.data.timeline.filled(np.arange(start, stop + 1)) - np.array(phase.base)
    exact = (np.arange(start, stop + 1) - phase.first)[:, None] * (weights / weights.sum())
    error = np.abs(filled - exact)
    worst = np.unravel_index(int(error.argmax()), error.shape)
    name = plan.data.components[worst[1]].name
    assert error[worst] <= SHARE_BOUND, f"{name} is {error[worst]:.2f} samples off its share at {start + worst[0]}"
    delivered = plan.pointers.components(start, stop)
    counts = np.bincount(delivered, minlength=len(weights))
    assert (counts == filled[-1] - filled[0]).all(), "the positions do not hold the seats that the timeline gives them"


def assert_delivered_as_planned(plan: Plan) -> None:
    """Law 2: each sample of a component is delivered as often as its epochs say: all epochs but the last are whole."""
    assert plan.data.begins is None, "a plan that continues another does not begin its epochs"
    found = plan.pointers.range(0, len(plan))
    for index, component in enumerate(plan.data.components):
        samples, times = np.unique(found.sample[found.component == index], return_counts=True)
        given = int(times.sum())
        epochs, rest = divmod(given, component.samples)
        missing = component.samples - len(samples)
        assert missing == (0 if epochs else component.samples - rest), f"{component.name}: samples are missing"
        assert set(times.tolist()) <= {epochs, epochs + 1}, (
            f"{component.name}: delivered {times.min()}–{times.max()} times"
        )
        assert int((times == epochs + 1).sum()) == rest, f"{component.name}: an epoch is not whole"


def assert_any_topology(plan: Plan, topologies: Iterable[tuple[int, int]], limit: int | None = None) -> None:
    """Law 2: for any (world size, batch size) the global batches, one after the other, are the plan's own order.

    Args:
        plan: A plan with an end.
        topologies: (world size, batch size of a rank).
        limit: Positions to look at; None for all.
    """
    expected = plan.samples(plan.start, plan.start + (limit or len(plan))).column("sample").to_pylist()
    for world_size, batch_size in topologies:
        got = _global_order(plan, world_size, batch_size, limit)
        steps = len(plan) // (world_size * batch_size)
        assert limit is not None or len(got) == steps * world_size * batch_size, f"{world_size} × {batch_size}: too few"
        assert got == expected[: len(got)], f"{world_size} ranks × {batch_size}: another order"


def assert_resumable(plan: Plan, stops: Sequence[int], before: tuple[int, int], after: tuple[int, int]) -> None:
    """Laws 2 and 4: stop after some steps, go on with another topology: the rest follows; the state stays small.

    Args:
        plan: A plan with an end.
        stops: Steps after which to stop.
        before: (world size, batch size) of the first run.
        after: Those of the second.
    """
    for steps in stops:
        with plan.stream(batch_size=before[1], rank=0, world_size=before[0]) as stream:
            for _ in zip(range(steps), stream, strict=False):
                pass
            state = json.loads(json.dumps(stream.state_dict()))
        assert len(json.dumps(state)) <= 10_000, "the state is larger than 10 kB"
        start = plan.start + steps * before[0] * before[1]
        rest = _global_order(plan, *after, None, state)
        expected = plan.samples(start, plan.start + len(plan)).column("sample").to_pylist()
        assert rest == expected[: len(rest)], f"stop after {steps} steps: another rest"
        assert len(expected) - len(rest) < after[0] * after[1], f"stop after {steps} steps: the rest is too short"


def _global_order(
    plan: Plan, world_size: int, batch_size: int, limit: int | None, state: dict[str, object] | None = None
) -> list[int]:
    streams = [plan.stream(batch_size, rank, world_size) for rank in range(world_size)]
    samples: list[int] = []
    for stream in streams:
        if state:
            stream.load_state_dict(state)
    for batches in zip(*streams, strict=True):
        for batch in batches:
            assert batch.num_rows == batch_size, "a batch is not full"
            samples.extend(batch.column("sample").to_pylist())
        if limit is not None and len(samples) >= limit:
            break
    for stream in streams:
        stream.close()
    return samples if limit is None else samples[:limit]
