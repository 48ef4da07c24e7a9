"""Requests and bytes by storage."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from mixtera.artifact.model import OrderParameters, PlanData
from mixtera.artifact.pointers import Pointers
from mixtera.contracts.storage import AccessProfile
from mixtera.explanation.build import report
from mixtera.explanation.cost import Meter, costs
from mixtera.explanation.forecast import Cost
from mixtera.explanation.simulation import simulate
from mixtera.explanation.units import units_of
from tests.explanation.plans import compressed, in_row_groups, labels
from tests.synthetic import plan_data

DIGEST = "sha256:" + "0" * 64
ORDER = OrderParameters(7, "global", 256, 4, 16)
LOCAL = AccessProfile(1 << 20, 1 << 14, 1, True)
FAR = AccessProfile(1 << 23, 1 << 20, 32, False)


def natural(counts: list[int], files: int = 4, unselected: int = 0) -> PlanData:
    return plan_data(labels(counts, files, unselected), counts, order=ORDER)


def metered(data: PlanData, profiles: dict[str, AccessProfile], readers: int = 1) -> dict[str, Cost]:
    units = units_of(data)
    meter = Meter(units, profiles)
    reads = simulate(data, units, readers, meter)
    return {cost.storage: cost for cost in costs(data, meter, reads)}


def test_near_ranges_are_one_request_and_far_ones_are_not() -> None:
    data = natural([100])
    start = np.array([0, 100, 5000, 400_000, 0], np.int64)
    unused = {field.name: np.zeros(5, np.int64) for field in fields(Pointers)}
    file = np.array([0, 0, 0, 0, 1], np.int64)
    alone = Pointers(**{**unused, "file": file, "start": start, "stop": start + 100})
    meter = Meter(units_of(data), {"near": AccessProfile(1 << 20, 0, 1, True), "local": LOCAL, "far": FAR})
    meter(alone, np.array([], np.int64))
    assert meter.alone["near"].tolist() == [4, 500]  # 0 and 100 touch
    assert meter.alone["local"].tolist() == [3, 5100 + 100 + 100]
    assert meter.alone["far"].tolist() == [2, 400_100 + 100]


def test_a_storage_that_reads_gaps_along_asks_less_often_and_reads_more() -> None:
    found = metered(natural([500, 300], unselected=8000), {"local": AccessProfile(1 << 20, 0, 1, True), "far": FAR})
    assert found["far"].requests < found["local"].requests
    assert found["far"].read_bytes > found["local"].read_bytes == found["local"].delivered_bytes
    assert found["local"].amplification == 1.0
    assert found["far"].amplification == found["far"].read_bytes / found["far"].delivered_bytes


def test_row_groups_are_read_whole_and_amplify_as_the_simulation_says() -> None:
    data = in_row_groups(natural([1000, 1000], unselected=6000), 10)
    found = metered(data, {"local": LOCAL})["local"]
    one = report(data, DIGEST).reading.one
    assert found.amplification == pytest.approx(one.amplification, rel=0.01)
    assert found.delivered_bytes == 200_000


def test_a_compressed_file_is_fetched_once_by_each_reader() -> None:
    data = compressed(natural([300, 100]))
    one, four = (metered(data, {"local": LOCAL}, readers)["local"] for readers in (1, 4))
    assert (one.requests, one.read_bytes) == (4, 40_000)
    assert (four.requests, four.read_bytes, four.readers) == (16, 160_000, 4)


def test_a_run_that_is_longer_than_the_simulation_is_extended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixtera.explanation.simulation.POSITIONS", 2048)
    data = natural([9000, 3000])
    found = metered(data, {"local": LOCAL})["local"]
    assert found.delivered_bytes == 1_200_000
    assert found.read_bytes >= found.delivered_bytes


def test_installed_storages_are_asked_and_files_counted_where_they_lie() -> None:
    found = {cost.storage: cost for cost in report(natural([300, 100]), DIGEST).cost}
    assert found["local"].files == 4
    assert all(cost.files == 0 for name, cost in found.items() if name != "local")
