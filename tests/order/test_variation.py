"""Orders that are not the plain one: samples left out, sequences, file order, and places that begin elsewhere."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.order.epochs import Entries
from mixtera.order.leftout import LeftOut
from mixtera.order.permute import Permutation, Variation
from mixtera.order.places import Places, Start
from tests.order.test_permute import entries

Sample = tuple[int, int]


def samples_of(data: Entries, component: int) -> list[Sample]:
    mine = np.flatnonzero(data.component == component).tolist()
    return [(entry, rank) for entry in mine for rank in range(data.count[entry])]


def epoch_of(permutation: Permutation, component: int, epoch: int) -> list[Sample]:
    """The samples of an epoch in their order, through the places."""
    before = int(permutation.places.first_sizes[component]) if epoch else 0
    before += max(0, epoch - 1) * int(permutation.samples[component])
    count = int((permutation.samples if epoch else permutation.places.first_sizes)[component])
    entry, rank = permutation.find(np.full(count, component), before + np.arange(count))
    return list(zip(entry.tolist(), rank.tolist(), strict=True))


@st.composite
def left_out(draw: st.DrawFn, data: Entries) -> LeftOut:
    total = int(data.count.sum())
    chosen = draw(st.lists(st.booleans(), min_size=total, max_size=total))
    return LeftOut.of(np.array(chosen, np.bool_), data.count)


def is_left_out(mask: LeftOut | None, data: Entries, sample: Sample) -> bool:
    number = int(np.cumsum(data.count)[sample[0]] - data.count[sample[0]]) + sample[1]
    return mask is not None and bool(mask.holds(np.array([number]))[0])


@given(st.data(), entries(), st.integers(0, 2**64 - 1), st.booleans(), st.integers(1, 4))
@settings(deadline=None)
def test_what_is_left_out_leaves_the_order_of_the_others_alone(
    drawn: st.DataObject, data: Entries, seed: int, shuffle: bool, window: int
) -> None:
    excluded = drawn.draw(left_out(data))
    plain = frozenset(drawn.draw(st.sets(st.integers(0, data.components - 1))))
    whole = Permutation(data, seed, shuffle, window, Variation(in_file_order=plain))
    without = Permutation(data, seed, shuffle, window, Variation(in_file_order=plain, excluded=excluded))
    for component in range(data.components):
        if not without.samples[component]:
            continue
        for epoch in (0, 1, 3):
            expected = [s for s in epoch_of(whole, component, epoch) if not is_left_out(excluded, data, s)]
            assert epoch_of(without, component, epoch) == expected


@given(st.data(), entries(), st.integers(0, 99))
@settings(deadline=None)
def test_the_first_epoch_of_a_continuation_leaves_out_what_was_delivered(
    drawn: st.DataObject, data: Entries, seed: int
) -> None:
    delivered = drawn.draw(left_out(data))
    whole = Permutation(data, seed, True, 3)
    first_epoch = np.array([drawn.draw(st.integers(0, 2)) for _ in range(data.components)])
    zeros = np.zeros(data.components, np.int64)
    start = Start(first_epoch, zeros, np.empty(0, np.int64), zeros)
    rest = Permutation(data, seed, True, 3, Variation(delivered=delivered, start=start))
    for component, first in enumerate(first_epoch.tolist()):
        expected = [s for s in epoch_of(whole, component, first) if not is_left_out(delivered, data, s)]
        assert epoch_of(rest, component, 0) == expected
        assert epoch_of(rest, component, 1) == epoch_of(whole, component, first + 1)
        for place, sample in enumerate(expected):
            assert rest.place_of(first, component, *sample) == place
        for sample in samples_of(data, component):
            if sample not in expected:
                assert rest.place_of(first, component, *sample) is None
            again = rest.place_of(first + 1, component, *sample)
            assert again == len(expected) + epoch_of(whole, component, first + 1).index(sample)


@given(st.data(), entries())
@settings(deadline=None)
def test_a_sequence_is_delivered_as_it_stands_in_every_epoch(drawn: st.DataObject, data: Entries) -> None:
    component = drawn.draw(st.integers(0, data.components - 1))
    mine = samples_of(data, component)
    excluded = drawn.draw(left_out(data))
    kept = [number for number, sample in enumerate(mine) if not is_left_out(excluded, data, sample)]
    sequence = np.array(drawn.draw(st.permutations(kept)), np.uint32)
    if not kept:
        return
    permutation = Permutation(data, 5, True, 4, Variation(sequences={component: sequence}, excluded=excluded))
    expected = [mine[number] for number in sequence.tolist()]
    for epoch in (0, 1):
        assert epoch_of(permutation, component, epoch) == expected
        for at, sample in enumerate(expected):
            assert permutation.place_of(epoch, component, *sample) == epoch * len(expected) + at
    others = [c for c in range(data.components) if c != component and permutation.samples[c]]
    plain = Permutation(data, 5, True, 4, Variation(excluded=excluded))
    for other in others:
        assert epoch_of(permutation, other, 1) == epoch_of(plain, other, 1)


@st.composite
def starts(draw: st.DrawFn) -> Places:
    components = draw(st.integers(1, 4))
    sizes, first_sizes, cursors, heads = [], [], [], []
    for _ in range(components):
        size = draw(st.integers(1, 9))
        cursor = draw(st.integers(0, 25))
        sizes.append(size)
        first_sizes.append(draw(st.integers(0, size)))
        cursors.append(cursor)
        heads.append(sorted(draw(st.sets(st.integers(0, max(0, cursor - 1)), max_size=min(5, cursor)))))
    start = Start(
        np.array([draw(st.integers(0, 3)) for _ in range(components)]),
        np.array(cursors),
        np.array([place for head in heads for place in head], np.int64),
        np.array([len(head) for head in heads]),
    )
    return Places(np.array(sizes), np.array(first_sizes), start)


@given(starts())
def test_places_begin_with_the_head_and_go_on_at_the_cursor(places: Places) -> None:
    start = places.start
    ends = np.cumsum(start.head_sizes)
    for component in range(len(places.sizes)):
        head = start.head[ends[component] - start.head_sizes[component] : ends[component]].tolist()
        counted = [*head, *range(start.cursor[component], start.cursor[component] + 30)]
        size, first_size = int(places.sizes[component]), int(places.first_sizes[component])
        first = int(start.first_epoch[component])
        expected = [(first, c) if c < first_size else (first + 1 + (c - first_size) // size, (c - first_size) % size)
                    for c in counted]  # fmt: skip
        epoch, within = places.split(np.full(len(counted), component), np.arange(len(counted)))
        assert list(zip(epoch.tolist(), within.tolist(), strict=True)) == expected
        for place, found in enumerate(expected):
            assert places.joined(component, *found) == place
        gone = set(range(start.cursor[component])) - set(head)
        for counted_place in gone:
            at = (first, counted_place) if counted_place < first_size else (
                first + 1 + (counted_place - first_size) // size, (counted_place - first_size) % size)  # fmt: skip
            assert places.joined(component, *at) is None
