"""The laws of plans of tokens: each token once an epoch, the same rows for any topology, shares, pointers, stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from mixtera.plan import Plan

Document: TypeAlias = Callable[[str, str, int], Sequence[int]]
"""Source, file and row → the tokens of a document, as they should be delivered."""
Rows: TypeAlias = list[tuple[int, ...]]


def rows_of(batches: Iterable[pa.RecordBatch]) -> Rows:
    """The tokens of the rows of some batches."""
    return [tuple(row) for batch in batches for row in batch["tokens"].to_pylist()]


def assert_rows_are_documents(plan: Plan, document: Document, stop: int) -> None:
    """The rows of the stream are the parts of documents that `samples` names, and say where each begins.

    Args:
        plan: A plan of packed sequences.
        document: What documents are.
        stop: Positions to look at; a multiple of 4.

    Raises:
        AssertionError: A row differs; names its position.
    """
    wanted: dict[int, tuple[list[int], list[int], list[int]]] = {}
    for part in plan.samples(plan.start, plan.start + stop).to_pylist():
        tokens, starts, samples = wanted.setdefault(part["position"], ([], [], []))
        starts.append(len(tokens))
        samples.append(part["sample"])
        tokens += list(document(part["source"], part["file"], part["row"]))[part["first_token"] : part["last_token"]]
    position = plan.start
    for batch in plan.stream(batch_size=4):
        for row in batch.to_pylist():
            if position >= plan.start + stop:
                return
            tokens, starts, samples = wanted[position]
            length = row.get("length", len(row["tokens"]))
            assert row["tokens"][:length] == tokens, f"position {position}: other tokens than planned"
            assert (row["document_starts"], row["sample"]) == (starts, samples), f"position {position}: other documents"
            position += 1


def assert_tokens_once_an_epoch(plan: Plan, tokens: Callable[[str], int]) -> None:
    """Each token of a component comes once in each whole epoch, and at most once in the last.

    Args:
        plan: A finite plan of concatenated sequences that do not overlap.
        tokens: Component → the tokens of one epoch of it.
    """
    assert plan.data.tokens is not None
    assert plan.data.tokens.parameters.overlap == 0
    seen: dict[str, Counter[tuple[int, int]]] = {component.name: Counter() for component in plan.data.components}
    for part in plan.samples(plan.start, plan.start + len(plan)).to_pylist():
        numbers = range(part["first_token"], part["last_token"])
        seen[part["component"]].update((part["sample"], number) for number in numbers)
    for name, found in seen.items():
        epochs, more = divmod(found.total(), tokens(name))
        times = Counter(found.values())
        wanted = {epochs + 1: more} | ({epochs: tokens(name) - more} if epochs else {})
        assert times == Counter({n: count for n, count in wanted.items() if count}), f"{name}: tokens came {times}"


def assert_any_readers(plan: Plan, topologies: Iterable[tuple[int, int]], positions: int) -> None:
    """Joined step by step, the batches of all ranks are the same rows.

    Args:
        plan: The plan.
        topologies: Pairs of ranks and batch size.
        positions: Positions to look at.
    """
    whole = rows_of(plan.stream(batch_size=1))[:positions]
    for ranks, size in topologies:
        steps = min(len(whole), len(plan)) // (ranks * size)
        streams = [iter(plan.stream(batch_size=size, rank=rank, world_size=ranks)) for rank in range(ranks)]
        found = [row for _ in range(steps) for stream in streams for row in rows_of(islice(stream, 1))]
        assert found == whole[: len(found)], f"{ranks} ranks with batches of {size} read other rows"


def assert_shares_of_tokens(plan: Plan, window: int = 1000, most: float = 3.0) -> None:
    """The share of tokens of each component in any window of sequences is the weight's, but for some sequences.

    Args:
        plan: A plan with one phase.
        window: Sequences of a window.
        most: Sequences that may differ.
    """
    (phase,) = plan.data.timeline.phases
    share = np.array(phase.weights) / sum(phase.weights)
    component = plan.pointers.components(0, len(plan))
    held = np.zeros((len(component) + 1, len(share)))
    held[np.arange(1, len(held)), component] = 1
    held = held.cumsum(axis=0)
    size = min(window, len(component))
    differs = np.abs(held[size:] - held[:-size] - size * share).max()
    assert differs <= most, f"in a window of {size} sequences a component is {differs:.2f} off its share"
