"""Fits at their step, settings that do not fit, packages that are missing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mixtera.algorithms import Settings, begin, fitted, given, is_waiting, task, update
from mixtera.contracts.algorithm import Feedback, FitResult, Option
from mixtera.errors import AlgorithmError, PluginError

NAMES = ("web", "code")


def report(step):
    return Feedback(step, [30.0 - step / 10, 20.0], [10.0, 10.0], [10.0, 10.0])


def asking(lag):
    """ADO after step 120, which has asked for a fit."""
    settings = Settings("ado", {"start": 120, "ignore": 20, "interval": 60, "starts": 1}, lag=lag)
    state = begin(settings, NAMES, (1, 1))
    for step in range(121):
        state = update(state, report(step)).state
    return state


def test_a_fit_counts_from_its_step_whenever_it_came():
    state = asking(lag=5)
    result = fitted(task(state))

    def course(handed_in_after):
        now, found = state, []
        for step in range(121, 140):
            if step - 1 == handed_in_after:
                now = given(now, result)
            outcome = update(now, report(step))
            now = outcome.state
            found.append(outcome.weights)
        return json.dumps([now, found])

    assert course(120) == course(122) == course(124)


def test_feedback_waits_for_a_fit_that_counts():
    state = asking(lag=2)
    assert not is_waiting(state, 121)
    assert is_waiting(state, 122)
    later = update(state, report(121)).state
    with pytest.raises(AlgorithmError, match="the fit of step 120 counts from step 122 on; hand it in before"):
        update(later, report(122))
    with pytest.raises(AlgorithmError, match="the fit of step 120 counts from step 500 on"):
        update(later, report(500))
    assert update(given(later, fitted(task(later))), report(122)).weights is not None


def test_a_result_that_nobody_asked_for_changes_nothing():
    state = asking(lag=3)
    result = fitted(task(state))
    assert given(state, FitResult(60, result.data)) == state
    once = given(state, result)
    assert task(once) is None
    assert given(once, FitResult(120, {"law": None})) == once
    assert given(begin(Settings("odm"), NAMES, (1, 1)), result)["open"] is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings("odm", {"rul": "group"}), "odm has no option 'rul'; did you mean 'rule'"),
        (Settings("odm", {"rule": "groups"}), "odm: rule: expected one of single, group, found 'groups'"),
        (Settings("odm", {"decay": 2}), "decay: expected a number, from 0 to 1, found 2"),
        (Settings("odm", {"period": True}), "period: expected a whole number, from 1, found True"),
        (Settings("sheared"), "needs the option 'targets'"),
        (Settings("sheared", {"targets": {"web": 1.0}}), "the loss that code should reach is missing"),
        (Settings("sheared", {"targets": {"web": 1.0, "cod": 1.0}}), "named 'cod'; did you mean 'code'"),
        (Settings("skill_it", {"graph": {"web": {"cod": 1.0}}}), "named 'cod'; did you mean 'code'"),
        (Settings("odm", floor=0.6), "2 components with 0.6 each come to more than 1; it can be 0.5 at most"),
        (Settings("odm", ceiling=0.3), "come to less than 1: nobody may have the rest; it must be 0.5 at least"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(AlgorithmError, match=message):
        begin(settings, NAMES, (1, 1))


@pytest.mark.parametrize("weights", [(1,), (1, 0), (1, -1), (1, float("nan")), ()])
def test_weights_to_start_from_are_checked(weights):
    with pytest.raises(AlgorithmError, match="every component needs a weight above 0"):
        begin(Settings("odm"), NAMES, weights)


def test_an_unknown_algorithm_is_named_with_the_nearest():
    with pytest.raises(PluginError, match="did you mean 'ado'"):
        begin(Settings("adoo"), NAMES, (1, 1))


def test_scalars_have_one_number_per_component():
    with pytest.raises(AlgorithmError, match="weights has 3 numbers, and there are 2 components"):
        update(begin(Settings("external"), NAMES, (1, 1)), Feedback(0, [1, 1], [1, 1], [1, 1], {"weights": [1, 1, 1]}))


@pytest.mark.parametrize("value", [10**400, float("nan"), float("inf"), "1", None, [1]])
def test_a_number_is_a_number(value):
    assert Option("x", "number", "A number.").problem(value) == "expected a number, from 0"


def test_a_weight_of_nothing_is_lifted_to_the_floor():
    state = begin(Settings("external", floor=0.1), NAMES, (1, 1))
    outcome = update(state, Feedback(0, [0, 0], [0, 0], [1, 1], {"weights": [1, 0]}))
    assert outcome.weights == pytest.approx((0.9, 0.1))


def test_what_was_asked_between_two_changes_counts_at_the_next():
    state = begin(Settings("external", every=4), NAMES, (1, 1))
    found = []
    for step, pushed in [(0, None), (1, [3, 1]), (2, [1, 3]), (3, None), (5, None), (6, None)]:
        scalars = {} if pushed is None else {"weights": pushed}
        outcome = update(state, Feedback(step, [0, 0], [0, 0], [1, 1], scalars))
        state = outcome.state
        found.append(outcome.weights)
    assert found == [None, None, None, None, (0.25, 0.75), None]


def test_scipy_is_loaded_for_a_fit_only_and_its_extra_is_named():
    program = """
import sys
sys.modules["scipy"] = sys.modules["scipy.optimize"] = None
from mixtera.algorithms import Settings, begin, fitted, task, update
from mixtera.contracts.algorithm import Feedback
from mixtera.errors import PluginError
state = begin(Settings("ado", {"start": 120, "ignore": 20, "interval": 60}), ["a"], [1])
for step in range(121):
    state = update(state, Feedback(step, [3.0], [1.0], [1.0])).state
try:
    fitted(task(state))
except PluginError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pip install 'mixtera[ado]'" in done.stdout
