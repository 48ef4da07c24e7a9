"""The algorithms against an independent statement of their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mixtera.algorithms import Settings, begin, fitted, given, laws, losscurve, task, update
from mixtera.contracts.algorithm import Feedback, FitResult
from tests.algorithms import formulas

NAMES = ("web", "code", "books")
PRIOR = (0.5, 0.3, 0.2)
TARGETS = dict(zip(NAMES, (1.5, 1.2, 2.5), strict=True))


def training(steps, seed=3):
    """Losses (None: did not come) and samples of some steps."""
    random = np.random.default_rng(seed)
    losses, samples = [], []
    for step in range(steps):
        batch = random.multinomial(12, PRIOR).tolist()
        means = [1 + k / 2 + 3 * (1 + step) ** -0.4 + random.normal(0, 0.02) for k in range(3)]
        losses.append([None if n == 0 else mean for mean, n in zip(means, batch, strict=True)])
        samples.append(batch)
    assert any(None in row for row in losses)
    return losses, samples


def reports(losses, samples):
    for step, (loss, batch) in enumerate(zip(losses, samples, strict=True)):
        yield Feedback(step, [(x or 0.0) * n for x, n in zip(loss, batch, strict=True)], batch, batch)


def asked(name, options, losses, samples):
    """What is new after each step."""
    state, found = begin(Settings(name, options), NAMES, PRIOR), []
    for report in reports(losses, samples):
        outcome = update(state, report)
        state = outcome.state
        found.append(outcome.weights)
    return found


def weights(name, options, losses, samples):
    """The weights after each step."""
    current, found = PRIOR, []
    for each in asked(name, options, losses, samples):
        current = each or current
        found.append(current)
    return found


def same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("decay", [1.0, 0.9])
def test_loss_average(decay):
    losses, samples = training(60)
    same(weights("loss_average", {"decay": decay}, losses, samples), formulas.loss_average(losses, samples, decay))


@pytest.mark.parametrize("rule", ["single", "group"])
@pytest.mark.parametrize("reward", ["exp", "loss"])
def test_odm(rule, reward):
    losses, samples = training(60)
    options = {"rule": rule, "reward": reward, "decay": 0.8}
    same(weights("odm", options, losses, samples), formulas.odm(losses, 0.8, rule, reward))


def test_exp3():
    losses, samples = training(60)
    options = {"gamma": 0.2, "eta": 0.5, "scale": 3.0}
    same(weights("exp3", options, losses, samples), formulas.exp3(losses, samples, PRIOR, 0.2, 0.5, 3.0))


@pytest.mark.parametrize("rule", ["doremi", "bandit"])
@pytest.mark.parametrize("clip", [False, True])
def test_sheared(rule, clip):
    losses, samples = training(60)
    options = {"targets": TARGETS, "rule": rule, "eta": 0.3, "smoothing": 0.01, "clip": clip, "period": 1}
    expected = formulas.sheared(losses, PRIOR, list(TARGETS.values()), rule, 0.3, 0.01, clip)
    same(weights("sheared", options, losses, samples), expected)


@pytest.mark.parametrize("initial", [None, {"web": 5.0, "books": 2.0}])
def test_velocity(initial):
    losses, samples = training(60)
    options = {"targets": TARGETS, "eta": 0.1, "period": 1} | ({"initial": initial} if initial else {})
    first = [(initial or {}).get(name) for name in NAMES]
    expected = formulas.velocity(losses, PRIOR, list(TARGETS.values()), first, 0.1)
    same(weights("velocity", options, losses, samples), expected)


@pytest.mark.parametrize("normalise", [False, True])
def test_skill_it(normalise):
    losses, samples = training(60)
    graph = {"web": {"code": 0.5}, "books": {"books": 2.0, "web": 0.1}}
    options = {"graph": graph, "eta": 0.4, "window": 4, "normalise": normalise, "period": 1}
    matrix = [[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.1, 0.0, 2.0]]
    same(weights("skill_it", options, losses, samples), formulas.skill_it(losses, matrix, 0.4, 4, normalise))


def test_a_period_adds_reports_up():
    losses, samples = training(60)
    options = {"targets": TARGETS, "period": 4}
    found = asked("sheared", options, losses, samples)
    assert [number for number, each in enumerate(found) if each] == list(range(3, 60, 4))
    added = []
    for first in range(0, 60, 4):
        pairs = [list(zip(losses[t], samples[t], strict=True)) for t in range(first, first + 4)]
        sums = [sum(pair[k][0] * pair[k][1] for pair in pairs if pair[k][0] is not None) for k in range(3)]
        counts = [sum(pair[k][1] for pair in pairs) for k in range(3)]
        added.append([s / n if n else None for s, n in zip(sums, counts, strict=True)])
    expected = formulas.sheared(added, PRIOR, list(TARGETS.values()), "doremi", 1.0, 1e-4, False)
    same([each for each in found if each], expected)


def test_external_hands_the_weights_on_and_nothing_that_is_none():
    state = begin(Settings("external"), NAMES, PRIOR)
    for step, (pushed, expected) in enumerate(
        [
            ([1, 1, 2], (0.25, 0.25, 0.5)),
            ([0, 0, 0], None),
            ([1, -1, 1], None),
            ([1, math.nan, 1], None),
            ([3, 0, 1], (0.75, 0.0, 0.25)),
        ]
    ):
        outcome = update(state, Feedback(step, [0] * 3, [0] * 3, [1] * 3, {"weights": pushed}))
        assert outcome.weights == expected
        state = outcome.state
    assert update(state, Feedback(9, [1] * 3, [1] * 3, [1] * 3)).weights is None


LAWS = [
    [[0.5, 0.7, 0.3], [1.5, 0.2, 0.02], [2.0, 1.0, 0.6]],
    [[1.5, 0.5, 0.2], [1.0, 0.3, 0.25], [6.0, 0.6, 0.79]],
    [[1.5, 0.5, -0.1], [1.0, 0.3, 0.25], [6.0, 0.6, 0.79]],
]


@pytest.mark.parametrize("profile", ["official", "paper"])
def test_ado_weighs_as_its_formulas(profile):
    losses, samples = training(420)
    state = begin(
        Settings("ado", {"profile": profile, "start": 120, "ignore": 20, "interval": 100}, lag=7), NAMES, PRIOR
    )
    found, tasks, current = [], [], None
    for report in reports(losses, samples):
        outcome = update(state, report)
        current, state = outcome.weights or current, outcome.state
        found.append(current)
        if (waiting := task(state)) is not None:
            state = given(state, FitResult(waiting.step, {"law": LAWS[len(tasks)]}))
            tasks.append(waiting)
    assert [each.step for each in tasks] == [200, 300, 400]
    official = profile == "official"
    at = {each.step + 7: law for each, law in zip(tasks, LAWS, strict=True)}
    same(found[207:], formulas.ado_policy(samples, PRIOR, at, official)[207:])
    assert found[:207] == [None] * 207
    for each in tasks:
        past = slice(0, each.step + 1)
        n, smooth = formulas.ado_points(losses[past], samples[past], 20, 10, official)
        assert pytest.approx(n) == np.array(each.data["samples"]).T
        assert pytest.approx(smooth, rel=1e-9) == np.array(each.data["losses"]).T


def test_the_official_default_sees_one_point_at_its_first_fit():
    """Start 500 and ignore 1000, as in the authors' experiments: steps 1000 to 1999 follow a fit of one point."""
    losses, samples = training(1001)
    state = begin(Settings("ado", {"start": 500}), NAMES, PRIOR)
    for report in reports(losses, samples):
        assert task(state) is None
        state = update(state, report).state
    waiting = task(state)
    assert waiting is not None
    assert len(waiting.data["losses"]) == 1


@pytest.mark.parametrize("ignore", [0, 20, 50, 51, 99])
@pytest.mark.parametrize("length", [101, 102, 151, 160, 333])
def test_the_curve_is_that_of_the_whole_history(ignore, length):
    losses, samples = training(length)
    curve, rows = losscurve.empty(), formulas.imputed(losses, samples)
    counts = formulas.seen(samples, True)
    for n, row in zip(counts.tolist(), rows.tolist(), strict=True):
        curve = losscurve.extended(curve, n, row, ignore, 7, 1000)
    n, smooth = formulas.ado_points(losses, samples, ignore, 7, True)
    found = losscurve.points(curve, ignore, 7)
    assert [row for row, _, _ in found] == list(range(ignore, length, 7))
    assert pytest.approx(n) == np.array([each for _, each, _ in found]).T
    assert pytest.approx(smooth, rel=1e-9) == np.array([each for _, _, each in found]).T
    assert len(curve["rows"]) == losscurve.WINDOW


def test_a_long_curve_is_thinned_and_its_points_count_more():
    curve = losscurve.empty()
    for step in range(1000):
        curve = losscurve.extended(curve, [step], [5.0 - step / 1000], 100, 5, 32)
    assert curve["stride"] == 8
    assert len(curve["points"]) <= 32
    assert [row for row, _, _ in losscurve.points(curve, 100, 5)] == list(range(100, 1000, 40))


def test_what_a_fit_makes_small_is_the_formula():
    random = np.random.default_rng(8)
    n = np.arange(1, 60) * 640.0
    losses = 2 + 4 * n**-0.3 + random.normal(0, 0.003, len(n))
    for start in random.choice(laws.grid(), 25, replace=False) + random.normal(0, 0.01, (25, 3)):
        value, gradient = laws.objective(start, np.log(n), np.log(losses))
        assert value == pytest.approx(formulas.ado_fit_value(*start, n, losses), rel=1e-12)
        for k in range(3):
            more, less = start.copy(), start.copy()
            more[k] += 1e-6
            less[k] -= 1e-6
            slope = (formulas.ado_fit_value(*more, n, losses) - formulas.ado_fit_value(*less, n, losses)) / 2e-6
            assert gradient[k] == pytest.approx(slope, abs=2e-5)


def test_the_grid_is_the_authors():
    grid = {tuple(np.round(row, 9)) for row in laws.grid()}
    assert grid == {(float(a), e / 2, round(x / 10, 9)) for a in range(-2, 6) for e in range(-4, 4) for x in range(8)}


def test_a_fit_finds_a_law_at_least_as_good_as_the_true_one_and_as_any_start():
    random = np.random.default_rng(2)
    n = np.arange(20, 400, 10) * 64.0
    losses = math.exp(0.8) + math.exp(2.0) * n**-0.35 + random.normal(0, 0.002, len(n))
    found = laws.fitted(n, losses, 1.0, 8)
    value = formulas.ado_fit_value(*found, n, losses)
    assert value <= formulas.ado_fit_value(2.0, 0.8, 0.35, n, losses)
    assert value <= min(laws.objective(start, np.log(n), np.log(losses))[0] for start in laws.grid())
    predicted = laws.law(np.array([found]), n[-1:])[0]
    assert predicted == pytest.approx(math.exp(0.8) + math.exp(2.0) * n[-1] ** -0.35, rel=0.003)


def test_laws_that_cannot_be_found_leave_the_old_ones():
    losses, samples = training(230)
    state = begin(Settings("ado", {"start": 120, "ignore": 20, "interval": 50}), NAMES, PRIOR)
    answers = [LAWS[0], [None, *LAWS[1][1:]]]
    for report in reports(losses, samples):
        state = update(state, report).state
        if (waiting := task(state)) is not None:
            state = given(state, FitResult(waiting.step, {"law": answers.pop(0)}))
    assert state["own"]["law"] == LAWS[0]


def test_a_fit_is_the_same_in_another_process():
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    losses, samples = training(130)
    state = begin(Settings("ado", {"start": 120, "ignore": 20, "interval": 60, "starts": 1}), NAMES, PRIOR)
    for report in list(reports(losses, samples))[:121]:
        state = update(state, report).state
    waiting = task(state)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(fitted, waiting).result() == fitted(waiting)
