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
        size = int(self.permutation.samples[component])
        for epoch in range(EPOCHS):
            entries, ranks = self.permutation.find_in(component, epoch, np.arange(size))
            for entry, rank in zip(entries.tolist(), ranks.tolist(), strict=True):
                count = int(self.tokens[self.permutation.sample_first[entry] + rank])
                found += [(entry, rank, number) for number in range(count)]
        return found

    def sequence(self, stream: list[Token], place: int) -> list[Token]:
        start = place * self.packer.stride
        return stream[start : start + self.packer.row_tokens]


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
    variation = Variation(
        in_file_order=frozenset(draw(st.sets(st.integers(0, components - 1)))),
        sequences={c: random.permutation(kept[c]) for c in sorted_},
        excluded=LeftOut.of(excluded, count) if excluded.any() else None,
    )
    permutation = Permutation(entries, draw(st.integers(0, 9)), draw(st.booleans()), draw(st.integers(1, 4)), variation)
    row = draw(st.integers(1, 50))
    heads = sums(count)[:-1]
    packer = Concatenation(
        permutation, tokens, np.add.reduceat(tokens, heads, dtype=np.int64), row, draw(st.integers(0, row - 1))
    )
    return Case(permutation, tokens, packer)


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
        places = (len(stream) - case.packer.overlap) // case.packer.stride
        if places <= 0:
            continue
        asked = random.integers(0, places, 20)
        found = case.packer.find(np.full(20, component), asked)
        for number, place in enumerate(asked.tolist()):
            assert written_out(found, number) == case.sequence(stream, place)


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
        stream = Case(case.permutation, case.tokens, packer).stream(component)
        places = len(stream) // packer.stride
        found = packer.find(np.full(places, component), np.arange(places)) if places else None
        tokens = [token for n in range(places) for token in written_out(found, n)] if found is not None else []
        assert tokens == stream[: places * packer.stride]


@SOME
@given(case=cases(), seed=st.integers(0, 2**32))
def test_places_of_a_document(case: Case, seed: int) -> None:
    random = np.random.default_rng(seed)
    component = int(random.integers(case.permutation.entries.components))
    stream = case.stream(component)
    places = max(0, (len(stream) - case.packer.overlap) // case.packer.stride)
    bounds = case.permutation.entries.bounds
    entry = int(random.integers(bounds[component], bounds[component + 1]))
    rank = int(random.integers(case.permutation.entries.count[entry]))
    held = [n for n in range(places) if any(t[:2] == (entry, rank) for t in case.sequence(stream, n))]
    found = [case.packer.places_of(epoch, component, entry, rank) for epoch in range(EPOCHS)]
    assert sorted({place for epoch in found for place in epoch if place < places}) == held
