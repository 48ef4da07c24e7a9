"""Sequences cut from streams of tokens, against the streams written out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mixtera.order.concat import Concatenation, Pieces
from mixtera.order.epochs import Entries, sums
from mixtera.order.leftout import LeftOut
from mixtera.order.permute import Permutation, Variation
from mixtera.order.places import Start

EPOCHS = 5
Token = tuple[int, int, int]
"""Entry, rank and number of a token."""


@dataclass(frozen=True)
class Case:
    permutation: Permutation
    tokens: npt.NDArray[np.uint32]
    packer: Concatenation

    def stream(self, component: int) -> list[Token]:
        """The tokens of a component, epoch after epoch, document by document in the component's own order."""
        found: list[Token] = []
        places = self.permutation.places
        first = int(places.start.first_epoch[component])
        for epoch in range(first, first + EPOCHS):
            size = int((places.first_sizes if epoch == first else places.sizes)[component])
            entries, ranks = self.permutation.find_in(component, epoch, np.arange(size))
            for entry, rank in zip(entries.tolist(), ranks.tolist(), strict=True):
                count = int(self.tokens[self.permutation.sample_first[entry] + rank])
                found += [(entry, rank, number) for number in range(count)]
        return found

    def places(self, component: int, stream: list[Token]) -> int:
        """How many of the component's places are whole sequences of the stream."""
        whole = max(0, (len(stream) - self.packer.overlap) // self.packer.stride)
        start = self.permutation.places.start
        head = start.head[np.cumsum(start.head_sizes)[component] - start.head_sizes[component] :]
        head = head[: start.head_sizes[component]]
        return max(len(head) + whole - int(start.cursor[component]), int((head < whole).sum()))

    def sequence(self, stream: list[Token], component: int, place: int) -> list[Token]:
        start = self.counted(component, place) * self.packer.stride
        return stream[start : start + self.packer.row_tokens]

    def counted(self, component: int, place: int) -> int:
        """The place among all that the stream is cut into: the head comes first."""
        start = self.permutation.places.start
        before, size = int(start.head_sizes[:component].sum()), int(start.head_sizes[component])
        return int(start.head[before + place]) if place < size else int(start.cursor[component]) + place - size


@st.composite
def cases(draw: st.DrawFn) -> Case:
    components, segments = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    has = random.random((components, segments)) < 0.7
    has[:, 0] = True  # a component has samples
    component, segment = np.nonzero(has)
    count = random.integers(1, 8, len(component))
    entries = Entries(component, segment, count, np.arange(segments) // draw(st.integers(1, 3)), components)
    documents = int(count.sum())
    excluded = random.random(documents) < draw(st.sampled_from([0.0, 0.3]))
    tokens = random.integers(0, draw(st.sampled_from([2, 9, 60])), documents).astype(np.uint32)
    tokens[excluded] = 0
    sizes = np.diff(sums(count)[entries.bounds])
    kept = [np.flatnonzero(~part) for part in np.split(excluded, np.cumsum(sizes)[:-1])]
    sorted_ = draw(st.sets(st.integers(0, components - 1)))
    continues = draw(st.booleans())
    delivered = excluded | (random.random(documents) < draw(st.sampled_from([0.0, 0.5, 1.0])))
    variation = Variation(
        in_file_order=frozenset(draw(st.sets(st.integers(0, components - 1)))),
        sequences={c: random.permutation(kept[c]) for c in sorted_},
        excluded=LeftOut.of(excluded, count) if excluded.any() else None,
        delivered=LeftOut.of(delivered, count) if continues and draw(st.booleans()) else None,
        start=_start(random, components) if continues else None,
    )
    permutation = Permutation(entries, draw(st.integers(0, 9)), draw(st.booleans()), draw(st.integers(1, 4)), variation)
    row = draw(st.integers(1, 50))
    heads = sums(count)[:-1]
    packer = Concatenation(
        permutation, tokens, np.add.reduceat(tokens, heads, dtype=np.int64), row, draw(st.integers(0, row - 1))
    )
    return Case(permutation, tokens, packer)


def _start(random: np.random.Generator, components: int) -> Start:
    """Epochs, and heads before cursors, as plans that go on have them."""
    cursor = random.integers(0, 9, components)
    heads = [np.flatnonzero(random.random(c) < random.choice([0.0, 0.4])) for c in cursor]
    sizes = np.array([len(head) for head in heads])
    return Start(random.integers(0, 4, components), cursor, np.concatenate(heads).astype(np.int64), sizes)


def written_out(pieces: Pieces, sequence: int) -> list[Token]:
    mine = pieces.sequence == sequence
    columns = (values[mine].tolist() for values in (pieces.entry, pieces.rank, pieces.first, pieces.last))
    return [
        (entry, rank, number)
        for entry, rank, first, last in zip(*columns, strict=True)
        for number in range(first, last)
    ]


SOME = settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))


@SOME
@given(case=cases(), seed=st.integers(0, 2**32))
def test_sequences_are_stretches_of_the_stream(case: Case, seed: int) -> None:
    random = np.random.default_rng(seed)
    for component in range(case.permutation.entries.components):
        stream = case.stream(component)
        places = case.places(component, stream)
        if places <= 0:
            continue
        asked = random.integers(0, places, 20)
        found = case.packer.find(np.full(20, component), asked)
        for number, place in enumerate(asked.tolist()):
            assert written_out(found, number) == case.sequence(stream, component, place)


@SOME
@given(case=cases(), seed=st.integers(0, 2**32))
def test_components_asked_together_are_those_asked_alone(case: Case, seed: int) -> None:
    random = np.random.default_rng(seed)
    filled = np.flatnonzero(case.packer.sizes > 0)
    if not len(filled):
        return
    component, place = random.choice(filled, 30), random.integers(0, 12, 30)
    together = case.packer.find(component, place)
    assert (np.diff(together.sequence) >= 0).all()
    for number in range(30):
        alone = case.packer.find(component[number : number + 1], place[number : number + 1])
        assert written_out(together, number) == written_out(alone, 0)
    part = together.part(10, 20)
    assert [written_out(part, n) for n in range(10)] == [written_out(together, n) for n in range(10, 20)]


@SOME
@given(case=cases())
def test_every_token_once_an_epoch(case: Case) -> None:
    """Without overlap, the sequences of a few epochs hold each of their tokens as often, but for the tail."""
    packer = Concatenation(case.permutation, case.tokens, case.packer._entry_tokens, case.packer.row_tokens, 0)
    for component in range(case.permutation.entries.components):
        case = Case(case.permutation, case.tokens, packer)
        stream = case.stream(component)
        places = case.places(component, stream)
        if case.permutation.places.start.cursor[component] or not places:
            continue
        found = packer.find(np.full(places, component), np.arange(places))
        tokens = [token for n in range(places) for token in written_out(found, n)]
        assert tokens == stream[: places * packer.stride]


@SOME
@given(case=cases(), seed=st.integers(0, 2**32))
def test_places_of_a_document(case: Case, seed: int) -> None:
    random = np.random.default_rng(seed)
    component = int(random.integers(case.permutation.entries.components))
    stream = case.stream(component)
    places = case.places(component, stream)
    bounds = case.permutation.entries.bounds
    entry = int(random.integers(bounds[component], bounds[component + 1]))
    rank = int(random.integers(case.permutation.entries.count[entry]))
    held = [n for n in range(places) if any(t[:2] == (entry, rank) for t in case.sequence(stream, component, n))]
    first = int(case.permutation.places.start.first_epoch[component])
    found = [case.packer.places_of(epoch, component, entry, rank) for epoch in range(first + EPOCHS)]
    # a document in a sequence of two epochs is found in both
    assert sorted({place for epoch in found for place in epoch if place < places}) == held


@SOME
@given(case=cases(), seed=st.integers(0, 2**32))
def test_documents_of_an_epoch_that_sequences_hold(case: Case, seed: int) -> None:
    random = np.random.default_rng(seed)
    component = int(random.integers(case.permutation.entries.components))
    stream, first = case.stream(component), int(case.permutation.places.start.first_epoch[component])
    whole = max(0, (len(stream) - case.packer.overlap) // case.packer.stride)
    if not whole:
        return
    asked = np.unique(random.integers(0, whole, 5))
    held = [
        n
        for place in asked
        for n in range(place * case.packer.stride, place * case.packer.stride + case.packer.row_tokens)
    ]
    for epoch in range(first, first + EPOCHS):
        begin, end = (case.packer.tokens_before(component, number) for number in (epoch, epoch + 1))
        wanted = {stream[n][:2] for n in held if begin <= n < end}
        found = case.packer.documents(component, epoch, asked)
        assert set(zip(*(column.tolist() for column in found), strict=True)) == wanted
        for token in {begin, end - 1} if begin < end else ():
            assert case.packer.epoch_with(component, token) == epoch
