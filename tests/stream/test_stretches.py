"""Stretches: segments are wanted whole where a reader soon has use for all of their bytes, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mixtera.artifact.model import OrderParameters, PlanData
from mixtera.contracts.storage import AccessProfile
from mixtera.stream.consumer import Consumer
from mixtera.stream.stretches import Stretches, of_machine, own_share, paces, read_twice
from tests.explanation.plans import labels
from tests.synthetic import plan_data

ALONE = AccessProfile(1 << 20, 1 << 17, 16, False, 1 << 15, 1 << 40)
TOGETHER = replace(ALONE, is_shared=True)
SHARED = replace(TOGETHER, stays=True)
SMALL = replace(SHARED, kept_bytes=1 << 10)
ORDER = OrderParameters(7, "global", 256, 2, 16)


def plan(counts: list[int], weights: list[int] | None = None, unselected: int = 0) -> PlanData:
    return plan_data(labels(counts, 2, unselected), weights or counts, order=ORDER)


def wanted(data: PlanData, consumer: Consumer, profile: AccessProfile, here: int = 1) -> int:
    """Bytes that are wanted whole of all files."""
    found = Stretches(data, consumer, here)
    total = 0
    for file in range(len(data.files)):
        starts, stops = found.of(file, profile)
        assert (stops > starts).all()
        assert (starts[1:] >= stops[:-1]).all()
        total += int((stops - starts).sum())
    return total


def every(data: PlanData) -> int:
    """Bytes of all records."""
    first = data.segments.column("start").to_numpy()
    rows = data.segments.column("rows").to_numpy().astype(np.int64)
    return int((data.starts[first + rows].astype(np.int64) - data.starts[first].astype(np.int64)).sum())


def test_a_natural_mixture_wants_all_of_everything() -> None:
    data = plan([3000, 1500, 500])
    assert wanted(data, Consumer(16), ALONE) == wanted(data, Consumer(16), SHARED) == every(data) > 0


def test_components_of_other_paces_do_not_fill_a_segment_together() -> None:
    data = plan([2500, 2500], [3, 1])
    assert wanted(data, Consumer(16), ALONE) < every(data) / 10  # of the last few rows of a file, most may be of one
    assert paces(plan([2500, 2500], [3, 1])).tolist() == [1, 0]
    assert paces(plan([2000, 1000], [2, 1])).tolist() == [0, 0]


def test_what_is_mostly_left_out_is_not_wanted_whole() -> None:
    assert wanted(plan([2000], unselected=4000), Consumer(16), ALONE) == 0
    data = plan([6000], unselected=300)
    assert wanted(data, Consumer(16), ALONE) == every(data)


@pytest.mark.parametrize(("workers", "lanes", "share"), [(1, 2, 1.0), (2, 2, 1.0), (4, 2, 0.5), (2, 1, 0.5)])
def test_readers_of_one_lane_have_a_part_each(workers: int, lanes: int, share: float) -> None:
    order = replace(ORDER, lanes=lanes)
    assert own_share(Consumer(16, worker=0, workers=workers), order) == share


def test_workers_who_share_a_directory_want_together_what_each_alone_does_not() -> None:
    data = plan([3000, 1500, 500])
    consumer = Consumer(16, worker=1, workers=4)
    assert wanted(data, consumer, ALONE) == 0
    assert wanted(data, consumer, SHARED) == every(data)


def test_ranks_of_a_machine_want_together_what_each_alone_does_not() -> None:
    data = plan([3000, 1500, 500])
    ranks = [Consumer(16, rank, 4) for rank in range(4)]
    assert [wanted(data, rank, TOGETHER) for rank in ranks] == [0] * 4
    assert [wanted(data, rank, TOGETHER, here=4) for rank in ranks] == [every(data)] * 4
    assert [wanted(data, rank, ALONE, here=4) for rank in ranks] == [0] * 4


def test_a_machine_is_a_reader_with_larger_batches() -> None:
    for rank in range(8):
        consumer = Consumer(16, rank, 8, 5, 9000, 1, 3)
        machine = of_machine(consumer, 4)
        assert machine == Consumer(64, rank // 4, 2, 5, 9000)
        positions = np.arange(5, 9000)
        of_ranks = [
            Consumer(16, other, 8, 5, 9000).owns(positions) for other in range(rank // 4 * 4, rank // 4 * 4 + 4)
        ]
        assert (machine.owns(positions) == np.logical_or.reduce(of_ranks)).all()


def test_the_more_ranks_a_machine_has_the_less_it_reads_of_what_others_read() -> None:
    order = replace(ORDER, lanes=16, chunk_size=256)
    data = plan_data(labels([30_000, 15_000, 5_000], 2, 0), [30_000, 15_000, 5_000], order=order)
    parts = [read_twice(data, of_machine(Consumer(16, 0, 16), here)) for here in (1, 2, 8, 16)]
    assert parts == pytest.approx([parts[0], parts[0] / 2, parts[0] / 8, 0])
    assert parts[0] > 0


def test_each_of_those_who_share_brings_room() -> None:
    data = plan([3000, 1500, 500])
    room = min(one for one in range(1 << 14, 1 << 20, 1 << 12) if wanted(data, Consumer(16), _with_room(one)))
    assert wanted(data, Consumer(16), _with_room(room // 4)) == 0
    assert wanted(data, Consumer(16, worker=3, workers=4), _with_room(room // 4 + 1)) == every(data)
    assert wanted(data, Consumer(16, rank=1, world_size=4), _with_room(room // 4 + 1), here=4) == every(data)


def _with_room(kept_bytes: int) -> AccessProfile:
    return replace(TOGETHER, kept_bytes=kept_bytes)


def test_lanes_that_meet_often_are_not_read_whole_by_each_reader() -> None:
    data = plan([3000, 1500, 500])
    assert wanted(data, Consumer(16, worker=0, workers=2), ALONE) == 0
    assert wanted(data, Consumer(16), ALONE) == every(data)


def test_windows_that_cannot_be_kept_are_not_read_whole() -> None:
    assert wanted(plan([3000, 1500, 500]), Consumer(16), SMALL) == 0
    assert wanted(plan([3000, 1500, 500]), Consumer(16), replace(ALONE, kept_bytes=0)) == 0
