"""Streams of rows of whole documents: what arrives is the texts, once an epoch, whatever the readers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.adapters.rows import row_columns
from mixtera.artifact import layout
from mixtera.artifact.digest import digest
from mixtera.artifact.model import ROW_BITS, OrderParameters, PlanData
from mixtera.order import fitting
from mixtera.plan import Plan
from tests.stream.fitted import EOS, fitted_plan, parameters, text_of
from tests.stream.written import open_stream

Row = tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...], int]


@pytest.fixture(autouse=True, scope="module")
def small_windows() -> Iterator[None]:
    """Windows of few documents, so that few documents make several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "LEAST_DOCUMENTS", 32)
        patch.setattr(fitting, "LEAST_ROWS", 8)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, small_windows: None) -> PlanData:
    return fitted_plan(tmp_path_factory.mktemp("fitted"), epochs=2)


def read(data: PlanData, **options: object) -> list[Row]:
    names = ("component", "sample", "tokens", "document_starts", "length")
    options.setdefault("batch_size", 8)
    with open_stream(data, **options) as stream:
        rows = [row for batch in stream for row in zip(*(batch[name].to_pylist() for name in names), strict=True)]
    return [
        (name, tuple(sample), tuple(tokens), tuple(starts), length) for name, sample, tokens, starts, length in rows
    ]


def whole(data: PlanData) -> list[Row]:
    return read(data, batch_size=1)


def documents(data: PlanData) -> dict[str, dict[int, list[int]]]:
    """Component → sample → its tokens."""
    count = data.entries.column("count").to_pylist()
    found: dict[str, dict[int, list[int]]] = {component.name: {} for component in data.components}
    at = 0
    for number, component in enumerate(data.components):
        for entry in range(*data.component_entries[number : number + 2].tolist()):
            segment = data.segments.slice(data.entries.column("segment")[entry].as_py(), 1).to_pylist()[0]
            for inside in data.rows[at : at + count[entry]].tolist():
                file, row = segment["file"], segment["row"] + inside
                text = text_of(file, row)
                sample = data.files.column("file_id")[file].as_py() << ROW_BITS | row
                found[component.name][sample] = [*text.encode(), EOS] if text else []
            at += count[entry]
    return found


@pytest.mark.parametrize(("length", "label_shift"), [(32, True), (32, False), (200, True)])
def test_every_document_arrives_once_an_epoch_and_whole(tmp_path: Path, length: int, label_shift: bool) -> None:
    given = parameters(length, label_shift)
    data = fitted_plan(tmp_path, epochs=2, given=given)
    rows = whole(data)
    assert len(rows) == data.timeline.total
    cut = 0
    for component in data.components:
        mine, epoch = [row for row in rows if row[0] == component.name], component.samples
        assert len(mine) == 2 * epoch
        by_place = sorted_by_place(data, component.name, mine)
        for part in (by_place[:epoch], by_place[epoch:]):
            expected = documents(data)[component.name]
            for sample, pieces in pieces_of(part).items():
                tokens = expected.pop(sample)
                if len(tokens) <= given.row_tokens:
                    assert pieces == [tokens]
                else:
                    cut += 1
                    assert joined(pieces, given.row_tokens, int(label_shift)) == tokens
            assert all(not tokens for tokens in expected.values())
    assert bool(cut) == (length == 32)


def sorted_by_place(data: PlanData, name: str, rows: list[Row]) -> list[Row]:
    """Rows of a component in the order of its places: inside a round, lanes are ahead of each other."""
    from mixtera.artifact.pointers import PointerMap

    chunk = PointerMap(data).lanes.range(0, data.timeline.total or 0)
    number = [component.name for component in data.components].index(name)
    places = chunk.place[chunk.component == number].tolist()
    return [row for _, row in sorted(zip(places, rows, strict=True), key=lambda pair: pair[0])]


def pieces_of(rows: list[Row]) -> dict[int, list[list[int]]]:
    found: dict[int, list[list[int]]] = {}
    for _, samples, tokens, starts, length in rows:
        for sample, first, last in zip(samples, starts, (*starts[1:], length), strict=True):
            found.setdefault(sample, []).append(list(tokens[first:last]))
        assert set(tokens[length:]) <= {0}
    return found


def joined(pieces: list[list[int]], width: int, shift: int) -> list[int]:
    """A cut document: its full rows in their order, and its end, which may stand in a row with the end of another."""
    pieces = sorted(pieces, key=lambda piece: len(piece) < width)
    assert all(len(piece) == width for piece in pieces[:-1])
    return pieces[0] + [token for piece in pieces[1:] for token in piece[shift:]]


def test_padding_has_no_document(data: PlanData) -> None:
    with open_stream(data, batch_size=64) as stream:
        batch = next(stream)
    columns = row_columns(batch)
    length = batch["length"].to_numpy()
    assert (columns["attention_mask"].sum(axis=1) == length.clip(max=32)).all()
    assert ((columns["document_ids"] == -1) == ~columns["attention_mask"]).all()


@given(st.integers(1, 5), st.integers(1, 9))
@settings(deadline=None, max_examples=15)
def test_ranks_together_deliver_the_same_rows(world_size: int, batch_size: int) -> None:
    data = _KEPT["data"]
    ranks = [read(data, batch_size=batch_size, rank=rank, world_size=world_size) for rank in range(world_size)]
    steps = len(ranks[0]) // batch_size
    found = [
        row for step in range(steps) for rank in ranks for row in rank[step * batch_size : (step + 1) * batch_size]
    ]
    assert len(found) > (data.timeline.total or 0) - world_size * batch_size
    assert found == _KEPT["rows"][: len(found)]


@given(st.data())
@settings(deadline=None, max_examples=15)
def test_a_stream_goes_on_at_any_step(draw: st.DataObject) -> None:
    data, rows = _KEPT["data"], _KEPT["rows"]
    first, second = draw.draw(st.integers(1, 9)), draw.draw(st.integers(1, 9))
    steps = draw.draw(st.integers(0, len(rows) // first))
    with open_stream(data, batch_size=first) as stream:
        for _ in range(steps):
            next(stream)
        state = json.loads(json.dumps(stream.state_dict()))
    with open_stream(data, batch_size=second) as stream:
        stream.load_state_dict(state)
        found = [tuple(tokens) for batch in stream for tokens in batch["tokens"].to_pylist()]
    assert found == [row[2] for row in rows[steps * first :]][: len(found)]
    assert len(found) > len(rows) - steps * first - second


_KEPT: dict[str, object] = {}


@pytest.fixture(autouse=True, scope="module")
def kept(data: PlanData, small_windows: None) -> None:
    """The plan and its rows, for laws that hypothesis runs."""
    _KEPT.update(data=data, rows=whole(data))


def test_samples_and_locate_agree_with_what_arrives(data: PlanData, tmp_path: Path) -> None:
    layout.write(str(tmp_path / "plan"), data, digest(data))
    plan = Plan.open(str(tmp_path / "plan"))
    rows = whole(data)
    found = plan.samples(0, len(plan)).to_pylist()
    by_position: dict[int, list[int]] = {}
    for piece in found:
        by_position.setdefault(piece["position"], []).append(piece["sample"])
    assert [tuple(by_position[position]) for position in range(len(rows))] == [row[1] for row in rows]
    where: dict[int, list[int]] = {}
    for position, row in enumerate(rows):
        for sample in row[1]:
            where.setdefault(sample, []).append(position)
    for sample in list(where)[::29]:
        assert plan.locate(sample) == where[sample]


def test_a_saved_plan_is_the_same(data: PlanData, tmp_path: Path) -> None:
    layout.write(str(tmp_path / "plan"), data, digest(data))
    again = Plan.open(str(tmp_path / "plan"))
    assert digest(again.data) == digest(data)
    assert whole(again.data) == whole(data)


@pytest.mark.parametrize("name", ["documents", "rows"])
def test_the_digest_tells_windows_apart(data: PlanData, name: str) -> None:
    assert data.tokens is not None
    assert data.tokens.windows is not None
    windows = data.tokens.windows
    other = replace(windows, **{name: getattr(windows, name) + 1})
    assert digest(replace(data, tokens=replace(data.tokens, windows=other))) != digest(data)


def test_file_order_is_that_of_the_files(tmp_path: Path) -> None:
    order = OrderParameters(7, "none", 64, 1, 16)
    data = fitted_plan(tmp_path, order=order, given=parameters(100))
    for component in data.components:
        firsts = [row[1][0] for row in whole(data) if row[0] == component.name]
        assert firsts == sorted(firsts)
