"""Law 2: any ranks, workers and batch sizes read the same global order, and may stop and go on as others."""

from __future__ import annotations

import json
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.artifact.model import OrderParameters, PlanData
from tests.stream.written import expected, open_stream, rows_of, written_plan

Topology = tuple[int, int, int]
topologies = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 50))


def read(data: PlanData, topology: Topology, state: dict | None = None, start: int = 0, stop_after: int | None = None):
    """Rows of all ranks and workers, by step and rank, and the states of the ranks' single-worker streams."""
    ranks, workers, batch_size = topology
    parts = [
        [
            open_stream(data, batch_size=batch_size, rank=r, world_size=ranks, start=start, worker=w, workers=workers)
            for w in range(workers)
        ]
        for r in range(ranks)
    ]
    for stream in (stream for rank in parts for stream in rank if state is not None):
        stream.load_state_dict(state)
    rows = []
    for step in count() if stop_after is None else range(stop_after):
        batches = [next(rank[step % workers], None) for rank in parts]
        if None in batches:
            assert batches == [None] * ranks, "ranks end at different steps"
            break
        assert all(batch.num_rows == batch_size for batch in batches)
        rows.extend(row for batch in batches for row in rows_of(batch))
    for stream in (stream for rank in parts for stream in rank):
        stream.close()
    return rows


@given(topologies, st.integers(0, 1100))
@settings(max_examples=40)
def test_global_batches_are_the_order_of_the_plan(data: PlanData, topology: Topology, start: int) -> None:
    ranks, _, batch_size = topology
    total = data.timeline.total
    steps = max(0, total - start) // (ranks * batch_size)
    assert read(data, topology, start=start) == expected(data, start, start + steps * ranks * batch_size)


@given(topologies, topologies, st.integers(0, 8))
@settings(max_examples=40)
def test_stop_and_go_on_with_another_topology(data: PlanData, before: Topology, after: Topology, steps: int) -> None:
    ranks, _, batch_size = before
    steps = min(steps, data.timeline.total // (ranks * batch_size))
    states = []
    for rank in range(ranks):
        with open_stream(data, batch_size=batch_size, rank=rank, world_size=ranks) as stream:
            for _ in range(steps):
                next(stream)
            states.append(json.loads(json.dumps(stream.state_dict())))
    assert all(state == states[0] for state in states)
    start = steps * ranks * batch_size
    rest = read(data, after, states[0])
    whole = expected(data, start, data.timeline.total)
    assert rest == whole[: len(rest)]
    assert len(whole) - len(rest) < after[0] * after[2]


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 7), st.integers(1, 6), st.integers(1, 3))
@settings(max_examples=15)
def test_any_chunks_lanes_and_granules(
    tmp_path_factory, batch_size: int, granule: int, per_chunk: int, lanes: int, ranks: int
) -> None:
    order = OrderParameters(3, "global", granule * per_chunk, lanes, granule)
    data = written_plan(tmp_path_factory.mktemp("any"), (90, 61), order=order)
    rows = read(data, (ranks, 1, batch_size))
    assert rows == expected(data, 0, len(rows))


def test_a_sample_of_several_epochs_is_read_as_often_as_planned(tmp_path) -> None:
    data = written_plan(tmp_path, (40, 31), epochs=[4, 3, 3.5])
    rows = read(data, (1, 1, 8))
    assert rows == expected(data, 0, len(rows))
    assert len(rows) > 2 * len(set(rows))


def test_an_endless_plan_goes_on(tmp_path) -> None:
    data = written_plan(tmp_path, (40, 31), epochs=[None, None, None])
    assert data.timeline.total is None
    assert read(data, (2, 1, 16), start=10_000, stop_after=20) == expected(data, 10_000, 10_000 + 20 * 32)


@given(st.integers(0, 10), st.integers(1, 40), st.integers(1, 4))
def test_length_counts_the_batches_that_are_left(data: PlanData, taken: int, batch_size: int, ranks: int) -> None:
    with open_stream(data, batch_size=batch_size, world_size=ranks) as stream:
        taken = min(taken, len(stream))
        before = len(stream)
        for _ in range(taken):
            next(stream)
        assert len(stream) == before - taken
    assert before == data.timeline.total // (ranks * batch_size)
