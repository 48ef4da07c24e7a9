from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.order import permute
from mixtera.order.epochs import Entries
from mixtera.order.keys import key_of, keys, mix
from mixtera.order.permute import Permutation


@st.composite
def entries(draw: st.DrawFn) -> Entries:
    segments = draw(st.integers(1, 12))
    components = draw(st.integers(1, 4))
    component, segment, count = [], [], []
    for c in range(components):
        chosen = draw(st.lists(st.integers(0, segments - 1), min_size=1, unique=True))
        for s in sorted(chosen):
            component.append(c)
            segment.append(s)
            count.append(draw(st.integers(1, 9)))
    group = np.sort(np.array(draw(st.lists(st.integers(0, 3), min_size=segments, max_size=segments))))
    return Entries(np.array(component), np.array(segment), np.array(count), group, components)


def whole_epoch(permutation: Permutation, component: int, epoch: int) -> list[tuple[int, int]]:
    n = int(permutation.samples[component])
    entry, rank = permutation.find(np.full(n, component), np.arange(n) + epoch * n)
    return list(zip(entry.tolist(), rank.tolist(), strict=True))


@given(entries(), st.integers(0, 2**64 - 1))
@settings(deadline=None)
def test_each_epoch_holds_each_sample_once(data: Entries, seed: int) -> None:
    permutation = Permutation(data, seed, True, 4)
    for c in range(data.components):
        mine = np.flatnonzero(data.component == c)
        expected = sorted((int(e), r) for e in mine for r in range(data.count[e]))
        for epoch in (0, 1, 7):
            assert sorted(whole_epoch(permutation, c, epoch)) == expected


@given(entries(), st.integers(0, 100))
@settings(deadline=None)
def test_the_place_of_a_sample_is_where_it_is_found(data: Entries, seed: int) -> None:
    for shuffle in (True, False):
        permutation = Permutation(data, seed, shuffle, 2)
        for c in range(data.components):
            n = int(permutation.samples[c])
            for epoch in (0, 3):
                for at, (entry, rank) in enumerate(whole_epoch(permutation, c, epoch)):
                    assert permutation.place_of(epoch, c, entry, rank) == epoch * n + at


@given(entries())
@settings(deadline=None)
def test_many_components_at_once_give_what_each_alone_gives(data: Entries) -> None:
    permutation = Permutation(data, 5, True, 3)
    rng = np.random.default_rng(0)
    component = rng.integers(0, data.components, 50)
    place = rng.integers(0, 40, 50)
    entry, rank = permutation.find(component, place)
    for i in range(50):
        one = permutation.find(component[i : i + 1], place[i : i + 1])
        assert (entry[i], rank[i]) == (one[0][0], one[1][0])


def large(groups: int) -> Entries:
    segment = np.arange(64)
    return Entries(np.zeros(64, np.int64), segment, np.full(64, 100), segment * groups // 64, 1)


def test_epochs_have_fresh_orders() -> None:
    permutation = Permutation(large(64), 5, True, 4)
    first, second = whole_epoch(permutation, 0, 0), whole_epoch(permutation, 0, 1)
    assert first != second
    assert sum(a == b for a, b in zip(first, second, strict=True)) < 20


def test_groups_stay_together_and_are_shuffled() -> None:
    data = large(8)
    order = [int(data.group[data.segment[e]]) for e, _ in whole_epoch(Permutation(data, 5, True, 4), 0, 0)]
    runs = [g for i, g in enumerate(order) if i == 0 or order[i - 1] != g]
    assert sorted(runs) == list(range(8))
    assert runs != list(range(8))


def test_a_window_mixes_its_segments() -> None:
    window = whole_epoch(Permutation(large(64), 5, True, 4), 0, 0)[:400]
    assert len({entry for entry, _ in window}) == 4
    assert len({entry for entry, _ in window[:20]}) == 4
    assert [rank for entry, rank in window if entry == window[0][0]] != list(range(100))


def test_without_shuffle_the_order_is_that_of_the_files() -> None:
    order = whole_epoch(Permutation(large(8), 5, False, 4), 0, 2)
    assert order == [(entry, rank) for entry in range(64) for rank in range(100)]


def test_more_windows_than_one_sort_can_tell_apart(monkeypatch) -> None:
    data = large(64)
    whole = whole_epoch(Permutation(data, 5, True, 1), 0, 0)
    monkeypatch.setattr(permute, "SORTED_WINDOWS", 3)
    assert whole_epoch(Permutation(data, 5, True, 1), 0, 0) == whole


def test_splitmix64_is_the_published_one() -> None:
    # the first outputs of splitmix64 seeded with 1234567, as its authors publish them
    state, gamma = 1234567, 0x9E3779B97F4A7C15
    states = np.array([(state + i * gamma) % 2**64 for i in range(3)], np.uint64)
    assert mix(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(st.lists(st.integers(0, 2**62), unique=True, min_size=2))
def test_keys_of_different_indices_differ(indices: list[int]) -> None:
    assert len(set(keys(key_of(1, 2, 3), np.array(indices)).tolist())) == len(indices)
