"""The laws of plans whose components deliver different things: one kind a batch, the same for any readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from mixtera.order.seats import WITHIN
from mixtera.plan import Plan
from mixtera.testing.order import SHARE_BOUND

Row: TypeAlias = tuple[object, ...]


def values_of(batch: pa.RecordBatch) -> list[Row]:
    """The rows of a batch, as values that can be compared: columns with what they hold."""
    return [tuple((name, _frozen(value)) for name, value in row.items()) for row in batch.to_pylist()]


def assert_one_kind_a_batch(plan: Plan, topologies: Iterable[tuple[int, int]]) -> None:
    """Every batch has the columns of one kind; joined step by step, the batches of all ranks are the plan's order.

    Args:
        plan: A plan with an end.
        topologies: Pairs of ranks and batch size; the size divides the plan's group.
    """
    assert plan.data.delivery is not None
    wanted = [row for batch in plan.stream(batch_size=1) for row in values_of(batch)]
    component = dict(zip(plan.components, plan.data.columns, strict=True))
    for ranks, size in topologies:
        streams = [plan.stream(batch_size=size, rank=rank, world_size=ranks) for rank in range(ranks)]
        found: list[Row] = []
        for batches in zip(*streams, strict=True):
            for batch in batches:
                kinds = {component[name] for name in batch.column("component").to_pylist()}
                assert len(kinds) == 1, f"{ranks} × {size}: a batch of {kinds}"
                (columns,) = kinds
                first = tuple(batch.schema.names[: len(columns)]) if columns else ("tokens",)
                assert first == (columns or ("tokens",)), f"{ranks} × {size}: {columns} came as {batch.schema.names}"
                assert batch.num_rows == size, "a batch is not full"
                found += values_of(batch)
        assert found == wanted[: len(found)], f"{ranks} ranks with batches of {size} read other rows"
        assert len(wanted) - len(found) < ranks * size, f"{ranks} ranks with batches of {size} read too little"


def assert_samples_once_an_epoch(plan: Plan) -> None:
    """Each sample of a component that delivers samples comes once in each whole epoch, at most once in the last."""
    parts = plan.samples(plan.start, plan.start + len(plan)).to_pylist()
    for component, columns in zip(plan.data.components, plan.data.columns, strict=True):
        if columns:
            found = Counter(part["sample"] for part in parts if part["component"] == component.name)
            epochs, more = divmod(found.total(), component.samples)
            wanted = {epochs + 1: more} | ({epochs: component.samples - more} if epochs else {})
            times = Counter(found.values())
            assert times == Counter({n: count for n, count in wanted.items() if count}), f"{component.name}: {times}"


def assert_kinds_hold_their_shares(plan: Plan) -> None:
    """Every prefix of a phase whose weights are as asked is within two groups of the share of each kind.

    Inside a kind every prefix is within SHARE_BOUND positions of the share of each component.
    """
    delivery, blocks = plan.data.delivery, plan.data.blocks
    assert delivery is not None
    assert blocks is not None
    phase = plan.data.timeline.phases[0]
    ends = [other.first for other in plan.data.timeline.phases[1:]] + [len(plan)]
    positions, kinds = np.arange(ends[0] + 1), np.array(delivery.kinds)
    filled, weights = plan.data.timeline.filled(positions), np.array(phase.weights)
    for kind in range(len(delivery.groups)):
        own = kinds == kind
        held, share = filled[:, own].sum(axis=1), weights[own].sum() / weights.sum()
        off = float(np.abs(held - positions * share).max())
        assert off <= WITHIN * blocks.size, f"{delivery.groups[kind]} is {off:.1f} positions off its share"
        if weights[own].sum():
            inside = np.abs(filled[:, own] - held[:, None] * weights[own] / weights[own].sum()).max()
            assert inside <= SHARE_BOUND, f"{delivery.groups[kind]}: a component is {inside:.1f} off its share in it"


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
