"""What readers read: laws of the simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mixtera.artifact.model import OrderParameters, PlanData
from mixtera.explanation.reading import fitting_lanes, reading
from mixtera.explanation.simulation import simulate
from mixtera.explanation.units import units_of
from tests.explanation.plans import compressed, in_row_groups, labels
from tests.synthetic import plan_data

ORDER = OrderParameters(7, "global", 256, 4, 16)


def natural(counts: list[int], files: int = 4, order: OrderParameters = ORDER, **more: int) -> PlanData:
    return plan_data(labels(counts, files), counts, order=order, **more)


def test_records_at_offsets_are_read_alone() -> None:
    data = natural([3000, 1000])
    found = reading(data, None)
    assert (found.one.amplification, found.one.visits) == (1.0, 1.0)
    assert (found.groups, found.largest_group_bytes, found.many, found.suggested) == (0, 0, None, None)
    assert (found.files, found.bytes, found.delivered_bytes) == (4, 400_000, 400_000)


def test_a_plan_that_delivers_everything_reads_each_group_once() -> None:
    data = in_row_groups(natural([3000, 1000]), 10)
    found = reading(data, None)
    assert found.one.positions == 4000
    assert found.one.amplification == 1.0
    assert found.groups == 28  # 1,000 rows in each of 4 files, row groups of 160
    assert found.largest_group_bytes == 16_000


def test_rows_that_nobody_asks_for_are_read_with_their_group() -> None:
    counts = [1000, 1000]
    data = in_row_groups(plan_data(labels(counts, 4, unselected=6000), counts, order=ORDER), 10)
    assert reading(data, None).one.amplification == pytest.approx(8000 / 2000, rel=0.02)


def test_without_room_to_keep_them_groups_are_read_twice_at_most() -> None:
    small, large = (in_row_groups(natural([30_000, 10_000], record_bytes=size), 100) for size in (100, 20_000))
    one = reading(small, None).one.amplification
    assert one == pytest.approx(1.0)
    assert 1.0 < reading(large, None).one.amplification <= 2.0


def test_a_compressed_file_is_read_whole_and_kept() -> None:
    data = compressed(natural([300, 100]))
    found = reading(data, 4)
    assert found.groups == 4
    assert found.one.amplification == 1.0
    assert found.many is not None
    assert found.many.amplification == pytest.approx(4.0, rel=0.05)  # each reader needs records of each file


@pytest.mark.parametrize("readers", [1, 2, 4])
def test_readers_that_own_their_lanes_open_each_segment_once(readers: int) -> None:
    data = natural([30_000, 10_000], order=replace(ORDER, chunk_size=2048))
    assert simulate(data, units_of(data), readers).visits == 1.0


def test_readers_that_share_lanes_open_more_and_the_suggestion_mends_it() -> None:
    data = natural([30_000, 10_000], order=replace(ORDER, chunk_size=2048))
    found = reading(data, 16)
    assert found.many is not None
    assert found.suggested is not None
    assert found.many.visits > 2
    assert (found.suggested.lanes, found.suggested.visits) == (16, 1.0)
    assert reading(data, 2).suggested is None


def test_suggested_lanes_are_a_multiple_of_the_readers() -> None:
    assert [fitting_lanes(16, readers) for readers in (1, 3, 8, 16, 24, 64)] == [16, 18, 16, 16, 24, 64]


def test_a_plan_shorter_than_one_step_of_its_readers_is_no_error() -> None:
    found = reading(in_row_groups(natural([20, 5]), 2), 64)
    assert found.many is not None
    assert (found.many.positions, found.many.amplification) == (0, 1.0)


def test_units_are_row_groups_compressed_files_or_nothing() -> None:
    data = natural([300, 100])
    assert (units_of(data).unit == -1).all()
    groups = units_of(in_row_groups(data, 3))
    assert len(groups.bytes) == len(np.unique(groups.unit)) == 12
    files = units_of(compressed(data))
    assert files.bytes.tolist() == [10_000] * 4
    assert files.on_disk.all()
    assert not groups.on_disk.any()
