"""Stretches: segments are wanted whole where a reader soon has use for all of their bytes, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mixtera.artifact.model import OrderParameters, PlanData
from mixtera.contracts.storage import AccessProfile
from mixtera.stream.consumer import Consumer
from mixtera.stream.stretches import Stretches, own_share, paces
from tests.explanation.plans import labels
from tests.synthetic import plan_data

ALONE = AccessProfile(1 << 20, 1 << 17, 16, False, 1 << 15, 1 << 40)
SHARED = replace(ALONE, is_shared=True, stays=True)
SMALL = replace(SHARED, kept_bytes=1 << 10)
ORDER = OrderParameters(7, "global", 256, 2, 16)


def plan(counts: list[int], weights: list[int] | None = None, unselected: int = 0) -> PlanData:
    return plan_data(labels(counts, 2, unselected), weights or counts, order=ORDER)


def wanted(data: PlanData, consumer: Consumer, profile: AccessProfile) -> int:
    """Bytes that are wanted whole of all files."""
    found = Stretches(data, consumer)
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


def test_lanes_that_meet_often_are_not_read_whole_by_each_reader() -> None:
    data = plan([3000, 1500, 500])
    assert wanted(data, Consumer(16, worker=0, workers=2), ALONE) == 0
    assert wanted(data, Consumer(16), ALONE) == every(data)


def test_windows_that_cannot_be_kept_are_not_read_whole() -> None:
    assert wanted(plan([3000, 1500, 500]), Consumer(16), SMALL) == 0
    assert wanted(plan([3000, 1500, 500]), Consumer(16), replace(ALONE, kept_bytes=0)) == 0
