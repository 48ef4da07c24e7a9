from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.arrow import to_numpy
from mixtera.artifact import digest, layout
from mixtera.artifact.model import OrderParameters
from mixtera.artifact.pointers import PointerMap, entries_of
from tests.synthetic import NOT_SELECTED, plan_data


def random_labels(seed: int, files: int = 3, components: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.choice([*range(components), NOT_SELECTED], size=int(rng.integers(5, 90))).astype(np.uint8)
        for _ in range(files)
    ]


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_every_pointer_leads_to_a_sample_of_its_component(seed: int) -> None:
    labels = random_labels(seed)
    data = plan_data(labels, [3.0, 1.0, 2.0])
    found = PointerMap(data).range(0, 10**6)
    assert found.position.tolist() == list(range(data.timeline.total or 0))
    for component, file, row in zip(found.component, found.file, found.row, strict=True):
        assert labels[file][row] == component
    assert (found.start == found.row * 100).all()
    assert (found.stop == found.row * 100 + 100).all()
    assert (found.sample >> 31 == found.file * 1000 + 5).all()
    assert (found.sample & (2**31 - 1) == found.row).all()
    assert len(set(found.sample.tolist())) == len(found.sample)


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_locate_finds_every_delivery_of_a_sample(seed: int) -> None:
    data = plan_data(random_labels(seed), [3.0, 1.0, 2.0], epochs=[3, 2, 2.5])
    pointers = PointerMap(data)
    samples = pointers.range(0, 10**6).sample
    for sample in np.unique(samples)[:15].tolist():
        assert pointers.locate(sample) == np.flatnonzero(samples == sample).tolist()


def test_locate_of_a_sample_that_was_not_chosen_is_empty() -> None:
    labels = [np.array([0, NOT_SELECTED, 0], np.uint8)]
    pointers = PointerMap(plan_data(labels, [1.0]))
    assert pointers.locate(5 << 31 | 1) == []
    assert pointers.locate(6 << 31) == []
    assert pointers.locate(5 << 31 | 70_000) == []
    assert len(pointers.locate(5 << 31)) == 1


def test_locate_in_an_endless_plan_needs_an_end() -> None:
    pointers = PointerMap(plan_data([np.zeros(40, np.uint8)], [1.0], epochs=[None]))
    with pytest.raises(ValueError, match="stop"):
        pointers.locate(5 << 31)
    assert len(pointers.locate(5 << 31, stop=400)) == 10


def test_formats_without_offsets_have_no_bytes() -> None:
    import dataclasses

    import pyarrow as pa

    data = plan_data([np.zeros(40, np.uint8)], [1.0])
    nowhere = pa.array([-1] * data.segments.num_rows, pa.int64())
    segments = data.segments.set_column(4, "offset", nowhere).set_column(5, "start", nowhere)
    found = PointerMap(dataclasses.replace(data, segments=segments, starts=np.empty(0, np.uint32))).range(0, 10)
    assert found.start.tolist() == [-1] * 10
    assert found.stop.tolist() == [-1] * 10


@given(st.integers(0, 100), st.integers(1, 4), st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_chunks_of_all_lanes_are_the_whole(seed: int, lanes: int, granules: int) -> None:
    order = OrderParameters(seed, "global", 8 * granules, lanes, 8)
    pointers = PointerMap(plan_data(random_labels(seed), [1.0, 1.0, 5.0], order=order))
    whole = pointers.range(0, 10**6)
    samples = np.full(len(whole.sample), -1)
    for round_ in range(len(samples) // (order.chunk_size * lanes) + 1):
        for lane in range(lanes):
            for first in range(0, granules, 2):
                part = pointers.lane(round_, lane, first, min(first + 2, granules))
                samples[part.position] = part.sample
    assert samples.tolist() == whole.sample.tolist()


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_a_sample_stands_at_a_place_that_is_its_own_where_it_is_given_out(seed: int) -> None:
    labels = random_labels(seed)
    pointers = PointerMap(plan_data(labels, [3.0, 1.0, 2.0], epochs=[2, 2, 2]))
    chunk = pointers.lanes.range(0, 10**6)
    found = pointers.range(0, 10**6)
    places: dict[int, set[int]] = {}
    for sample, place in zip(found.sample.tolist(), chunk.place.tolist(), strict=True):
        places.setdefault(sample, set()).add(place)
    given_out = np.bincount(chunk.component, minlength=3)
    for file, values in enumerate(labels):
        for row, label in enumerate(values.tolist()):
            sample = (file * 1000 + 5) << 31 | row
            standing = pointers.standing(sample)
            if label == NOT_SELECTED:
                assert standing is None
                continue
            assert standing is not None
            assert (standing.component, standing.excluded, standing.earlier) == (label, False, False)
            assert standing.place is not None
            assert (standing.place in places.get(sample, set())) == (standing.place < given_out[label])


def test_entries_of_a_plan_on_disk_are_not_copied(tmp_path: Path) -> None:
    data = plan_data(random_labels(1), [3.0, 1.0, 2.0])
    layout.write(str(tmp_path / "plan"), data, digest.digest(data))
    opened = layout.open(str(tmp_path / "plan")).data
    found = entries_of(opened)
    assert np.shares_memory(found.segment, to_numpy(opened.entries.column("segment")))
    assert np.shares_memory(found.count, to_numpy(opened.entries.column("count")))
