"""The laws of a mixing algorithm: weights are weights, a state is JSON, the same feedback gives the same weights."""

# ruff: noqa: D102 - the name of a law says what it is

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from mixtera.algorithms import Settings, begin, fitted, given, task, update
from mixtera.contracts.algorithm import Algorithm, Feedback, State, Weights
from mixtera.errors import AlgorithmError
from mixtera.registry import algorithm_named

_STEPS = 150
_CLOSE = 1e-9


class AlgorithmLaws:
    """What every algorithm must do, steered by `mixtera.algorithms.steering`. Make a subclass of your test module.

    Attributes:
        name: Name of the algorithm.
        components: Components of the mixture.
        weights: Their weights in the spec.
        close: How far weights may be apart where only the order of sums differs.
    """

    name: ClassVar[str]
    components: ClassVar[tuple[str, ...]] = ("web", "code", "books", "math")
    weights: ClassVar[tuple[float, ...]] = (0.4, 0.3, 0.2, 0.1)
    close: ClassVar[float] = _CLOSE

    def options(self) -> Mapping[str, Any]:
        """Options with which it gives weights within 150 steps; by component where they need it."""
        return {}

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm."""
        return algorithm_named(self.name)

    def feedback(self, steps: int = _STEPS) -> list[Feedback]:
        """Losses that fall, in batches of about 64; components are missing now and then."""
        random = np.random.default_rng(17)
        seen, found = np.zeros(len(self.components)), []
        for step in range(steps):
            samples = random.multinomial(64, self.weights).astype(float)
            losses = (
                1.0 + np.arange(len(samples)) / 3 + 6.0 * (1.0 + seen) ** -0.3 + random.normal(0, 0.01, len(samples))
            )
            seen += samples
            scalars = {"weights": random.random(len(samples)).tolist()}
            found.append(Feedback(step, (losses * samples).tolist(), samples.tolist(), samples.tolist(), scalars))
        return found

    def begun(self, **more: Any) -> State:  # noqa: ANN401 - settings
        return begin(Settings(self.name, self.options(), **more), self.components, self.weights)

    def course(
        self, state: State, feedback: Sequence[Feedback], between: Callable[[State], State] = lambda state: state
    ) -> Iterator[tuple[State, Weights | None]]:
        """Every state and what is new after each report; fits are done when they are asked for."""
        for report in feedback:
            outcome = update(state, report)
            waiting = task(outcome.state)
            state = between(outcome.state if waiting is None else given(outcome.state, fitted(waiting)))
            yield state, outcome.weights

    def asked(self, state: State, feedback: Sequence[Feedback]) -> list[Weights | None]:
        return [weights for _, weights in self.course(state, feedback)]

    def test_it_says_what_it_is(self) -> None:
        assert isinstance(self.algorithm, Algorithm)
        assert self.algorithm.name == self.name
        assert all(
            text.endswith(".") for text in (self.algorithm.meaning, *(o.meaning for o in self.algorithm.options))
        )
        names = [option.name for option in self.algorithm.options]
        assert len(set(names)) == len(names)

    def test_defaults_are_allowed_values(self) -> None:
        for option in self.algorithm.options:
            assert option.default is None or option.problem(option.default) is None

    def test_weights_are_weights_and_change(self) -> None:
        found = [weights for weights in self.asked(self.begun(), self.feedback()) if weights is not None]
        assert found, "no weights within 150 steps"
        for weights in found:
            assert len(weights) == len(self.components)
            assert all(math.isfinite(weight) and weight >= 0 for weight in weights)
            assert abs(sum(weights) - 1) < _CLOSE

    @pytest.mark.parametrize(("floor", "ceiling"), [(0.2, None), (None, 0.3), (0.05, 0.5), (0.25, 0.25)])
    def test_bounds_are_kept(self, floor: float | None, ceiling: float | None) -> None:
        for state, _ in self.course(self.begun(floor=floor, ceiling=ceiling), self.feedback()):
            assert abs(sum(state["weights"]) - 1) < _CLOSE
            assert min(state["weights"]) >= (floor or 0) - _CLOSE
            assert max(state["weights"]) <= (1 if ceiling is None else ceiling) + _CLOSE

    def test_a_state_is_json_at_every_step(self) -> None:
        def again(state: State) -> State:
            read: State = json.loads(json.dumps(state, allow_nan=False))
            assert read == state
            return read

        kept = list(self.course(self.begun(), self.feedback(), again))
        assert [weights for _, weights in kept] == self.asked(self.begun(), self.feedback())

    def test_a_state_is_never_changed(self) -> None:
        state = self.begun()
        for report in self.feedback():
            before = copy.deepcopy(state)
            outcome = update(state, report)
            assert state == before
            waiting = task(outcome.state)
            state = outcome.state if waiting is None else given(outcome.state, fitted(waiting))

    def test_feedback_that_comes_twice_or_late_changes_nothing(self) -> None:
        for number, (state, _) in enumerate(self.course(self.begun(), self.feedback())):
            for report in self.feedback()[max(0, number - 2) : number + 1]:
                outcome = update(state, report)
                assert outcome.weights is None
                assert outcome.state == state

    def test_the_order_of_the_components_does_not_matter(self) -> None:
        order = [2, 0, 3, 1]
        names = [self.components[n] for n in order]
        turned = begin(Settings(self.name, self.options()), names, [self.weights[n] for n in order])
        reports = [
            Feedback(
                report.step,
                [report.loss_sum[n] for n in order],
                [report.loss_count[n] for n in order],
                [report.samples[n] for n in order],
                {name: [values[n] for n in order] for name, values in report.scalars.items()},
            )
            for report in self.feedback()
        ]
        for plain, other in zip(self.asked(self.begun(), self.feedback()), self.asked(turned, reports), strict=True):
            assert (plain is None) == (other is None)
            if plain is not None and other is not None:
                assert other == pytest.approx([plain[n] for n in order], abs=self.close)

    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -1.0])
    def test_a_loss_that_is_none_is_a_component_that_did_not_come(self, bad: float) -> None:
        def with_first(report: Feedback, total: float, count: float) -> Feedback:
            sums, counts = [total, *report.loss_sum[1:]], [count, *report.loss_count[1:]]
            return Feedback(report.step, sums, counts, report.samples, report.scalars)

        wrong = [with_first(r, bad, 5.0) if r.step % 7 == 3 else r for r in self.feedback()]
        absent = [with_first(r, 0.0, 0.0) if r.step % 7 == 3 else r for r in self.feedback()]
        assert self.asked(self.begun(), wrong) == self.asked(self.begun(), absent)

    def test_steps_may_be_missing_and_batches_empty(self) -> None:
        nothing = [0.0] * len(self.components)
        reports = [r if r.step % 5 else Feedback(r.step, nothing, nothing, nothing) for r in self.feedback(400)]
        for _, weights in self.course(self.begun(), [r for r in reports if r.step % 3 != 1]):
            assert weights is None or abs(sum(weights) - 1) < _CLOSE

    def test_weights_come_at_multiples_of_every(self) -> None:
        for report, weights in zip(self.feedback(), self.asked(self.begun(every=10), self.feedback()), strict=True):
            assert weights is None or report.step % 10 == 0

    def test_one_component_has_everything(self) -> None:
        options = {
            name: {"web": value["web"]} if isinstance(value, Mapping) else value
            for name, value in self.options().items()
            if name != "graph"
        }
        state = begin(Settings(self.name, options), ["web"], [3.0])
        alone = [
            Feedback(r.step, r.loss_sum[:1], r.loss_count[:1], r.samples[:1], {"weights": [1.0]})
            for r in self.feedback()
        ]
        for found, _ in self.course(state, alone):
            assert found["weights"] == [1.0]

    def test_feedback_of_other_components_is_refused(self) -> None:
        with pytest.raises(AlgorithmError, match="step 0: loss_sum has 1 numbers, and there are 4 components: web"):
            update(self.begun(), Feedback(0, [1.0], [1.0] * 4, [1.0] * 4))

    def test_a_state_of_another_version_is_refused(self) -> None:
        with pytest.raises(AlgorithmError, match="go on with the release that wrote it"):
            update(self.begun() | {"algorithm_version": -1}, self.feedback()[0])
