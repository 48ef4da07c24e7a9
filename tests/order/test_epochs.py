"""The entries of an epoch: found by a table or by a sort, for all components or for one alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.order import epochs
from mixtera.order.epochs import Entries, permuted
from mixtera.order.permute import Permutation, Variation
from tests.order.test_permute import entries


@given(entries(), st.integers(0, 2**64 - 1))
@settings(deadline=None)
def test_a_table_and_a_sort_give_the_same_order(data: Entries, seed: int) -> None:
    rank = np.random.default_rng(seed).permutation(len(data.group))
    plain = np.arange(data.components) % 3 == seed % 3
    place = np.where(plain[data.component], data.segment, rank[data.segment])
    expected = sorted(range(len(place)), key=lambda entry: (int(data.component[entry]), int(place[entry])))
    for cells_per_entry, block in ((0, 1), (0, 99), (1 << 30, 1), (1 << 30, 7), (2, 5)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(epochs, "CELLS_PER_ENTRY", cells_per_entry)
            patch.setattr(epochs, "BLOCK_ENTRIES", block)
            for first in (0, 5):
                found = permuted(first, np.diff(data.bounds), data.segment, rank, plain)
                assert found.tolist() == [first + entry for entry in expected]


@given(entries(), st.integers(0, 99), st.integers(1, 4), st.booleans())
@settings(deadline=None)
def test_a_component_alone_is_its_part_of_the_whole_epoch(data: Entries, seed: int, window: int, plain: bool) -> None:
    variation = Variation(in_file_order=frozenset({0} if plain else ()))
    permutation = Permutation(data, seed, True, window, variation)
    whole = permutation._epoch(2)
    for component in range(data.components):
        alone = permutation._epoch(2, component)
        first, last = data.bounds[component : component + 2]
        assert alone.entry.tolist() == whole.entry[first:last].tolist()
        assert (alone.first + whole.first[first]).tolist() == whole.first[first : last + 1].tolist()
        begin, end = whole.windows[component : component + 2]
        assert (whole.component_of(np.arange(begin, end)) == component).all()
        assert alone.keys_of(np.arange(end - begin)).tolist() == whole.keys_of(np.arange(begin, end)).tolist()
        assert alone.plain.tolist() == [plain and component == 0]


@given(entries(), st.integers(0, 99))
@settings(deadline=None)
def test_the_place_of_a_sample_needs_no_epoch_of_all_components(data: Entries, seed: int) -> None:
    permutation = Permutation(data, seed, True, 2)
    last = len(data.count) - 1
    assert permutation.place_of(3, int(data.component[last]), last, 0) is not None
    assert permutation.epoch.cache_info().misses == 0


def test_components_without_entries_have_bounds_and_no_samples() -> None:
    data = Entries(np.array([1, 1, 3]), np.array([0, 1, 0]), np.array([4, 5, 6]), np.zeros(2, np.int64), 5)
    assert data.bounds.tolist() == [0, 0, 2, 2, 3, 3]
    permutation = Permutation(data, 1, True, 2)
    assert permutation.samples.tolist() == [0, 9, 0, 6, 0]
    assert permutation.epoch(0).windows.tolist() == [0, 0, 1, 1, 2, 2]
    entry, rank = permutation.find(np.full(6, 3), np.arange(6))
    assert sorted(zip(entry.tolist(), rank.tolist(), strict=True)) == [(2, n) for n in range(6)]


def test_entry_numbers_are_narrow_where_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (0, np.array([3]), np.array([0, 1, 2]), np.array([2, 0, 1]), np.array([False]))
    narrow = permuted(*arguments)
    assert narrow.dtype == np.int32
    monkeypatch.setattr(epochs, "_NARROW", 2)
    assert permuted(*arguments).dtype == np.int64
    assert permuted(*arguments).tolist() == narrow.tolist() == [1, 2, 0]
