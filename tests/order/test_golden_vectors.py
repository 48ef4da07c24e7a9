"""Golden vectors of the order: these numbers never change. A new order gets a new version, and the old one stays."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mixtera.artifact import layout
from mixtera.artifact.digest import digest
from mixtera.artifact.model import OrderParameters, PlanData
from mixtera.artifact.pointers import PointerMap
from mixtera.explanation.when import first_positions
from mixtera.order.exhaustion import course
from mixtera.order.keys import key_of
from mixtera.order.shares import Group, Point
from mixtera.order.timeline import ORDER_VERSION, Phase, Timeline
from tests.synthetic import plan_data

WEIGHTS = (5.0, 2.0, 3.0)
SAVED = Path(__file__).parent / "version_1" / "plan"
"""A plan that was written before there was version 2: twelve components, a schedule with a ramp, `redistribute`."""


def labels() -> list[np.ndarray]:
    """Four files of 500 rows, three components interleaved by a fixed rule."""
    row = np.arange(2000)
    return list(((row * row + row // 7) % 3).astype(np.uint8).reshape(4, 500))


def fingerprint(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, "<i8").tobytes()).hexdigest()[:16]


def shuffled(version: int) -> PlanData:
    order = OrderParameters(seed=17, shuffle="global", chunk_size=128, lanes=3, granule=32)
    data = plan_data(labels(), WEIGHTS, order=order, epochs=[3, 3, 3], segment_rows=64)
    return replace(data, timeline=Timeline((Phase(0, WEIGHTS, (0, 0, 0), version),), TOTALS[version][0]))


def test_order_version() -> None:
    assert ORDER_VERSION == 2


@pytest.mark.parametrize("version", [1, 2])
def test_seats(version: int) -> None:
    phase = Phase(0, (50.0, 20.0, 30.0), (0, 0, 0), version)
    assert phase.filled(np.array([1, 2, 3, 7, 10, 1_000_003])).tolist() == GOLDEN_SEATS[version]


def test_keys() -> None:
    assert int(key_of(17, 1, 0)) == GOLDEN_KEY


@pytest.mark.parametrize("version", [1, 2])
def test_shuffled_order_with_epochs(version: int) -> None:
    found = PointerMap(shuffled(version)).range(0, 3000)
    assert found.component[:20].tolist() == GOLDEN_COMPONENTS[version]
    assert (found.file * 500 + found.row)[:12].tolist() == GOLDEN_ROWS[version]
    assert fingerprint(found.sample) == GOLDEN_SAMPLES[version]


@pytest.mark.parametrize("version", [1, 2])
def test_file_order(version: int) -> None:
    order = OrderParameters(seed=17, shuffle="none", chunk_size=128, lanes=1, granule=32)
    data = plan_data(labels(), WEIGHTS, order=order, segment_rows=64)
    data = replace(data, timeline=Timeline((Phase(0, WEIGHTS, (0, 0, 0), version),), TOTALS[version][1]))
    assert fingerprint(PointerMap(data).range(0, 1000).sample) == GOLDEN_UNSHUFFLED[version]


def test_a_new_course_is_of_this_version() -> None:
    order = OrderParameters(seed=17, shuffle="global", chunk_size=128, lanes=3, granule=32)
    data = plan_data(labels(), WEIGHTS, order=order, epochs=[3, 3, 3], segment_rows=64)
    assert data.timeline == shuffled(2).timeline


def scheduled(weights: tuple[float, ...]) -> Group:
    """The mixture of the saved plan."""
    points = (
        Point(0, weights),
        Point(400, tuple(reversed(weights)), "linear", 1200),
        Point(1500, (1.0,) * len(weights)),
    )
    return Group(tuple(range(len(weights))), points)


@pytest.mark.parametrize("version", [1, 2])
def test_phases(version: int) -> None:
    """All the way: phases of a schedule, a ramp, and components that run out; when each has had half of its samples."""
    opened = layout.open(str(SAVED))
    data = opened.data
    if version == 2:
        weights = tuple(component.weight for component in data.components)
        found = course(scheduled(weights), [c.places for c in data.components], ["redistribute"] * 12)
        data = replace(data, timeline=found.timeline)
    assert (data.order_version, data.timeline.total) == (version, 2400)
    pointers = PointerMap(data).range(0, 2400)
    halves = np.array([component.samples // 2 for component in data.components])
    assert [fingerprint(pointers.component), fingerprint(pointers.sample)] == GOLDEN_PHASES[version]
    assert pointers.component[:24].tolist() == GOLDEN_PHASES_BEGIN[version]
    assert first_positions(data.timeline, halves) == GOLDEN_HALVES[version]
    assert digest(data) == GOLDEN_DIGESTS[version]


def test_a_plan_of_version_1_is_saved_as_it_was(tmp_path: Path) -> None:
    opened = layout.open(str(SAVED))
    assert opened.digest == digest(opened.data) == GOLDEN_DIGESTS[1]
    layout.write(str(tmp_path / "plan"), opened.data, opened.digest)
    for file in SAVED.iterdir():
        assert (tmp_path / "plan" / file.name).read_bytes() == file.read_bytes(), file.name


def test_the_saved_plan_runs_through_short_phases_in_pieces_as_in_one() -> None:
    data = layout.open(str(SAVED)).data
    together = data.timeline.components(np.array([0]), np.array([2400]))
    starts = np.arange(0, 2390, 13)
    pieces = data.timeline.components(starts, starts + 5)
    assert pieces.tolist() == np.concatenate([together[a : a + 5] for a in starts.tolist()]).tolist()


TOTALS = {1: (4573, 1524), 2: (4572, 1524)}
GOLDEN_SEATS = {
    1: [[1, 0, 0], [1, 0, 1], [1, 1, 1], [4, 1, 2], [5, 2, 3], [500001, 200001, 300001]],
    2: [[1, 0, 0], [1, 0, 1], [2, 0, 1], [4, 1, 2], [5, 2, 3], [500002, 200000, 300001]],
}
GOLDEN_KEY = 2875313244945324022
GOLDEN_COMPONENTS = {
    1: [0, 2, 1, 0, 0, 2, 0, 1, 2, 0, 0, 2, 1, 0, 0, 2, 0, 1, 2, 0],
    2: [0, 2, 0, 1, 0, 2, 0, 1, 0, 2, 0, 2, 0, 1, 0, 2, 0, 1, 0, 2],
}
GOLDEN_ROWS = {
    1: [783, 1375, 1324, 770, 1132, 1961, 1155, 800, 1168, 796, 1381, 1144],
    2: [783, 1375, 770, 1324, 1132, 1961, 1155, 800, 796, 1168, 1381, 1144],
}
GOLDEN_SAMPLES = {1: "ce70dc6ea1c98847", 2: "f0fba5a8a3d79d5d"}
GOLDEN_UNSHUFFLED = {1: "bae4fb2a6cb885d4", 2: "4d0c3b8685e95c7a"}
GOLDEN_PHASES = {1: ["7260eba4127c3b47", "14a3ef30b6a93e1e"], 2: ["fe268351c0e8890d", "f106488826d32cb0"]}
GOLDEN_PHASES_BEGIN = {
    1: [0, 0, 11, 0, 0, 0, 0, 10, 11, 0, 0, 0, 0, 0, 11, 0, 0, 0, 2, 3, 0, 11, 0, 4],
    2: [0, 3, 0, 11, 0, 0, 10, 0, 0, 11, 0, 2, 0, 0, 7, 0, 0, 11, 0, 5, 0, 0, 11, 0],
}
GOLDEN_HALVES = {
    1: [229, 1116, 1655, 1383, 1384, 1395, 1929, 1400, 1670, 1397, 975, 488],
    2: [227, 1120, 1655, 1369, 1396, 1383, 1937, 1399, 1666, 1394, 958, 491],
}
GOLDEN_DIGESTS = {
    1: "sha256:8849a6210252663c2c74925dea463b347711fec5a08c6b6238d8e06efb397608",
    2: "sha256:7b4b051931507a27d479fcbbd91d37eb02bf74eec7f38eb1ed579d567efab2ae",
}
