"""Mixtures that follow the training: what a plan says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mixtera.algorithms import Settings, begin
from mixtera.artifact.model import PlanComponent, Steering
from mixtera.compiler.stop import Stop
from mixtera.errors import AlgorithmError, Issue, PlanError, SpecError
from mixtera.spec.model import Dynamic, Spec


def settings_of(dynamic: Dynamic) -> Settings:
    """What the steering of a mixture is told."""
    bounds = dynamic.bounds
    return Settings(dynamic.algorithm, dynamic.options, bounds.floor, bounds.ceiling, dynamic.every, dynamic.lag)


def steering(spec: Spec, components: Sequence[PlanComponent], weights: Sequence[float], first: int) -> Steering | None:
    """How the weights of a plan follow the training; None where they do not.

    Args:
        spec: The spec.
        components: Those of the plan.
        weights: What they begin with.
        first: The plan's first position.

    Raises:
        SpecError: The options or the bounds do not fit the components.
    """
    dynamic = spec.mixture.dynamic
    if dynamic is None:
        return None
    settings = settings_of(dynamic)
    try:
        begin(settings, [component.name for component in components], weights)
    except AlgorithmError as error:
        place = dynamic.place
        raise SpecError([Issue(place.file, place.line, place.column, f"dynamic: {error}")]) from error
    budget = spec.mixture.budget
    return Steering(
        settings.algorithm,
        dict(settings.options),
        settings.floor,
        settings.ceiling,
        settings.every,
        settings.lag,
        None if budget is None else budget.samples - first,
    )


def check_can_follow(stop: Stop | None) -> None:
    """Refuse to go on from a plan that does not know what it has delivered.

    Raises:
        PlanError: Its weights followed a training.
    """
    if stop is not None and stop.plan.data.steering is not None:
        raise PlanError(
            f"plan {stop.plan.name!r} follows the training: what it delivered is known to its job alone, so no other "
            "plan can take over from it; go on with the job (`mixtera.Job`), or compile without --continue-from"
        )


def without_dynamic(spec: Spec) -> Spec:
    """The spec as it begins: the weights that are written hold."""
    return replace(spec, mixture=replace(spec.mixture, dynamic=None))
