from __future__ import annotations

import dataclasses
import json

import pytest

from mixtera.artifact.digest import digest
from mixtera.artifact.model import Beginning, PlanData
from mixtera.errors import PlanError, StateError
from mixtera.stream.state import PlanIdentity
from tests.stream.written import open_stream, rows_of, written_plan


def test_a_state_is_small_json_and_does_not_grow_with_the_position(data: PlanData) -> None:
    stream = open_stream(data, batch_size=8)
    first = json.dumps(stream.state_dict())
    for _ in stream:
        pass
    last = json.dumps(stream.state_dict())
    assert len(last) < 400
    assert abs(len(last) - len(first)) < 12


def test_the_position_counts_what_was_delivered_over_all_ranks(data: PlanData) -> None:
    with open_stream(data, batch_size=8, rank=1, world_size=3, start=50) as stream:
        assert stream.state_dict()["position"] == 50
        next(stream)
        next(stream)
        assert stream.state_dict()["position"] == 50 + 2 * 3 * 8


def test_loading_a_state_goes_back_as_well_as_on(data: PlanData) -> None:
    with open_stream(data, batch_size=8) as stream:
        state = stream.state_dict()
        first = rows_of(next(stream))
        next(stream)
        stream.load_state_dict(state)
        assert rows_of(next(stream)) == first


def test_a_state_of_another_plan_is_refused_and_named(data: PlanData, tmp_path) -> None:
    other = written_plan(tmp_path, seed=2)
    state = open_stream(other, batch_size=8).state_dict()
    with pytest.raises(StateError, match=r"another plan .*plan digest: sha256:\w+ in the state, sha256:\w+ here"):
        open_stream(data, batch_size=8).load_state_dict(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "has version 99; this release reads version 1"),
        ({"order": 99}, "order version: 99 in the state, 2 here"),
        ({"position": -1}, "position is -1; .* between 0 and"),
        ({"position": 10**9}, "position is 1000000000; .* between 0 and"),
        ({"position": 1.5}, "position is 1.5; it must be a whole number"),
        ({"position": True}, "position is True; it must be a whole number"),
    ],
)
def test_a_state_that_cannot_be_is_refused(data: PlanData, change: dict, message: str) -> None:
    stream = open_stream(data, batch_size=8)
    with pytest.raises(StateError, match=message):
        stream.load_state_dict(stream.state_dict() | change)


@pytest.mark.parametrize("wrong", [{}, {"version": 1}, [], None, "state"])
def test_what_is_not_a_state_is_refused(data: PlanData, wrong: object) -> None:
    with pytest.raises(StateError, match="pass what state_dict"):
        open_stream(data, batch_size=8).load_state_dict(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"batch_size": 2.5}, "batch_size is 2.5; it must be a whole number"),
        ({"batch_size": 8, "rank": 2, "world_size": 2}, "rank is 2, but world_size is 2: .* between 0 and 1"),
        ({"batch_size": 8, "rank": -1}, "rank is -1; it must be at least 0"),
        ({"batch_size": 8, "world_size": 0}, "world_size is 0; it must be at least 1"),
        ({"batch_size": 8, "start": -5}, "start is -5; it must be at least 0"),
        ({"batch_size": 8, "columns": ["body"]}, "has no content column 'body'; it has text"),
    ],
)
def test_arguments_out_of_range_are_refused_before_anything_is_read(data, options: dict, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        open_stream(data, **options)


def test_an_endless_plan_has_no_length_and_any_position(tmp_path) -> None:
    endless = written_plan(tmp_path, (40, 31), epochs=[None, None, None])
    stream = open_stream(endless, batch_size=8)
    with pytest.raises(TypeError, match="has no end"):
        len(stream)
    stream.load_state_dict(stream.state_dict() | {"position": 10**12})
    assert next(stream).num_rows == 8
    stream.close()


def test_a_start_behind_the_end_delivers_nothing(data: PlanData) -> None:
    assert list(open_stream(data, batch_size=8, start=10**6)) == []


def test_a_plan_without_files_at_hand_still_loads_states(data: PlanData) -> None:
    gone = dataclasses.replace(data, files=data.files.set_column(2, data.files.field(2), [["/nowhere"] * 3]))
    stream = open_stream(gone, batch_size=8)
    stream.load_state_dict(stream.state_dict() | {"position": 64})
    assert stream.position == 64


def of_version_1(data: PlanData) -> PlanData:
    phases = tuple(dataclasses.replace(phase, order_version=1) for phase in data.timeline.phases)
    return dataclasses.replace(data, timeline=dataclasses.replace(data.timeline, phases=phases))


def test_a_plan_of_an_older_order_has_states_of_its_own_order(data: PlanData) -> None:
    old = of_version_1(data)
    with open_stream(old, batch_size=8) as stream:
        next(stream)
        state = json.loads(json.dumps(stream.state_dict()))
        following = rows_of(next(stream))
    assert state["order"] == 1
    with open_stream(old, batch_size=8) as again:
        again.load_state_dict(state)
        assert rows_of(next(again)) == following
    with pytest.raises(StateError, match="order version: 1 in the state, 2 here"):
        open_stream(data, batch_size=8).load_state_dict(state)


def test_a_plan_that_takes_over_from_one_of_an_older_order_takes_its_state(data: PlanData) -> None:
    old = of_version_1(data)
    state = PlanIdentity.of(old, digest(old)).state_at(16)
    new = PlanIdentity("new", digest(data), None, data.order_version, Beginning(16, digest(old), "old"))
    assert new.position_of(state) == 16
