"""Timelines whose weights change while they run."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mixtera.order.exhaustion import timeline
from mixtera.order.steered import Limits, Steered, changed
from mixtera.order.timeline import Timeline

ROUND = 64
AWAY = 4
"""Samples from the exact share, at any prefix, whatever the changes: what the order promises of a plan."""


def endless(components: int) -> Limits:
    return Limits((None,) * components, ("repeat",) * components, None, ROUND)


@st.composite
def courses(draw: st.DrawFn, most: int = 6) -> tuple[list[float], list[tuple[int, list[float]]]]:
    """Weights to begin with, and changes: rounds that pass before each, and its weights."""
    size = draw(st.integers(1, 8))
    weight = st.one_of(st.floats(1e-4, 1), st.just(0.0))
    weights = st.lists(weight, min_size=size, max_size=size).filter(any)
    first = draw(st.lists(st.floats(1e-4, 1), min_size=size, max_size=size))
    return first, draw(st.lists(st.tuples(st.integers(0, 5), weights), max_size=most))


def exact(first: list[float], changes: list[tuple[int, list[float]]], positions: np.ndarray) -> np.ndarray:
    """[n, K] what the shares come to before each of some positions, integrated change by change."""
    edges, shares = [0], [np.array(first) / sum(first)]
    for rounds, weights in changes:
        edges.append(edges[-1] + rounds * ROUND)
        shares.append(np.array(weights) / sum(weights))
    found = np.zeros((len(positions), len(first)))
    for number, share in enumerate(shares):
        low = edges[number]
        high = edges[number + 1] if number + 1 < len(edges) else positions.max()
        found += np.clip(positions - low, 0, high - low)[:, None] * share
    return found


def steered(first: list[float], changes: list[tuple[int, list[float]]], limits: Limits) -> Steered:
    line = timeline(first, limits.places, limits.on_exhaust)
    found, at = Steered.of(Timeline(line.phases, line.total)), 0
    for rounds, weights in changes:
        at += rounds * ROUND
        found = changed(found, at, weights, limits)
    return found


@given(courses())
def test_every_prefix_is_near_the_integral_of_the_shares(course: tuple[list[float], list]) -> None:
    first, changes = course
    found = steered(first, changes, endless(len(first))).timeline
    positions = np.arange((sum(rounds for rounds, _ in changes) + 3) * ROUND + 1)
    assert np.abs(found.filled(positions) - exact(first, changes, positions)).max() < AWAY


@given(courses(most=40))
def test_many_changes_do_not_drift(course: tuple[list[float], list]) -> None:
    first, changes = course
    found = steered(first, changes, endless(len(first))).timeline
    end = np.array([(sum(rounds for rounds, _ in changes) + 1) * ROUND])
    # below 1, but for what a component is owed whose weight has become 0
    assert np.abs(found.filled(end) - exact(first, changes, end)).max() < 2


def test_what_has_less_than_half_a_seat_a_round_is_not_starved() -> None:
    rare = [1.0, 1.0, 0.008]
    changes = [(1, [1.0 + number % 2, 1.0, 0.008]) for number in range(400)]
    found = steered(rare, changes, endless(3)).timeline
    seats = found.filled(np.array([400 * ROUND]))[0][2]
    assert seats == round(sum(0.008 / (sum(w)) * ROUND for _, w in [(0, rare), *changes[:-1]]))


@given(courses(), st.integers(0, 10))
def test_nothing_before_a_change_moves(course: tuple[list[float], list], more: int) -> None:
    first, changes = course
    limits = endless(len(first))
    before = steered(first, changes, limits)
    at = before.since + more * ROUND
    after = changed(before, at, list(reversed(first)), limits)
    positions = np.arange(at + 1)
    assert (after.timeline.filled(positions) == before.timeline.filled(positions)).all()
    if at:
        whole = (np.array([0]), np.array([at]))
        assert (after.timeline.components(*whole) == before.timeline.components(*whole)).all()


@given(courses(), st.data())
def test_every_place_is_given_once_whatever_the_weights(course: tuple[list[float], list], data: st.DataObject) -> None:
    first, changes = course
    places = tuple(data.draw(st.lists(st.integers(1, 300), min_size=len(first), max_size=len(first))))
    limits = Limits(places, ("redistribute",) * len(first), None, ROUND)
    positive = [(rounds, [weight + 0.01 for weight in weights]) for rounds, weights in changes]
    found = steered(first, positive, limits).timeline
    assert found.total == sum(places)
    assert found.filled(np.array([found.total]))[0].tolist() == list(places)
    seats = found.filled(np.arange(found.total + 1))
    assert (np.diff(seats, axis=0) >= 0).all()
    assert (seats.sum(axis=1) == np.arange(found.total + 1)).all()


@given(courses(), st.data())
def test_stop_ends_before_a_seat_that_cannot_be_filled(course: tuple[list[float], list], data: st.DataObject) -> None:
    first, changes = course
    places = tuple(data.draw(st.lists(st.integers(1, 300), min_size=len(first), max_size=len(first))))
    limits = Limits(places, ("stop",) * len(first), None, ROUND)
    found = steered(first, changes, limits).timeline
    if found.total is not None:
        assert (found.filled(np.array([found.total]))[0] <= places).all()


@given(courses(), st.integers(1, 40))
def test_the_budget_holds_whatever_the_weights(course: tuple[list[float], list], rounds: int) -> None:
    first, changes = course
    limit = rounds * ROUND - 7
    limits = Limits((None,) * len(first), ("repeat",) * len(first), limit, ROUND)
    begun = timeline(first, limits.places, limits.on_exhaust)
    found, at = Steered.of(Timeline(begun.phases, limit)), 0
    for passed, weights in changes:
        at += passed * ROUND
        found = changed(found, at, weights, limits)
    assert found.timeline.total == limit
