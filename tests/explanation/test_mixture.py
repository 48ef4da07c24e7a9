"""The mixture tree and the end, against what the plan delivers."""

from __future__ import annotations

import numpy as np
import pytest

from mixtera.artifact.model import PlanData
from mixtera.artifact.pointers import PointerMap
from mixtera.explanation.mixture import components, end_of, tree
from tests.explanation.plans import labels, named, repeating
from tests.synthetic import plan_data


def delivered(data: PlanData) -> tuple[list[int], list[int]]:
    """Positions and distinct samples of each component, counted."""
    assert data.timeline.total is not None
    found = PointerMap(data).range(0, data.timeline.total)
    every = [found.sample[found.component == c] for c in range(len(data.components))]
    return [len(samples) for samples in every], [len(np.unique(samples)) for samples in every]


@pytest.mark.parametrize("on_exhaust", ["stop", "redistribute"])
@pytest.mark.parametrize("epochs", [None, [1, 2, 3.5]])
def test_positions_epochs_and_unseen_are_what_the_plan_delivers(on_exhaust: str, epochs: list[float] | None) -> None:
    data = plan_data(labels([300, 200, 40], 5), [5, 3, 2], epochs=epochs, on_exhaust=on_exhaust)
    positions, seen = delivered(data)
    parts = components(tree(data, {}, end_of(data)))
    assert [part.delivered for part in parts] == positions
    assert [part.epochs for part in parts] == [n / c.samples for n, c in zip(positions, data.components, strict=True)]
    assert [part.unseen for part in parts] == [c.samples - n for n, c in zip(seen, data.components, strict=True)]
    assert end_of(data).unseen == sum(part.unseen or 0 for part in parts)


def test_the_component_that_ends_the_stream_is_named() -> None:
    data = plan_data(labels([300, 200, 40], 5), [5, 3, 2])
    end = end_of(data)
    assert (end.kind, end.components) == ("exhausted", ("c2",))
    assert data.timeline.total is not None
    parts = tree(data, {}, end)
    assert [part.ends_plan for part in parts] == [False, False, True]
    # One position more would need the 41st sample of c2.
    assert data.timeline.phases[-1].filled(np.array([data.timeline.total + 1]))[0, 2] == 41


def test_natural_weights_deliver_everything() -> None:
    data = plan_data(labels([300, 200, 40], 5), [300, 200, 40])
    end = end_of(data)
    assert (end.kind, end.components, end.unseen) == ("complete", (), 0)
    assert max(part.first_epoch_ends or 0 for part in tree(data, {}, end)) == 540


def test_redistribution_tells_where_components_leave() -> None:
    data = plan_data(labels([300, 200, 40], 5), [5, 3, 2], on_exhaust="redistribute")
    end = end_of(data)
    assert (end.kind, len(end.changes)) == ("complete", 2)
    assert end.changes == tuple(phase.first for phase in data.timeline.phases[1:])


def test_an_endless_plan_knows_when_first_epochs_end() -> None:
    data = repeating(repeating(plan_data(labels([300, 40], 3), [1, 1]), 0), 1)
    end = end_of(data)
    assert (end.kind, end.components) == ("endless", ("c0", "c1"))
    large, small = tree(data, {}, end)
    assert (large.delivered, large.epochs, large.unseen, large.max_epochs) == (None, None, None, None)
    assert large.first_epoch_ends == pytest.approx(600, abs=1)
    assert small.first_epoch_ends == pytest.approx(80, abs=1)


def test_paths_make_a_tree_whose_groups_are_sums() -> None:
    data = named(
        plan_data(labels([300, 200, 40, 10], 5), [5, 3, 1, 1]), ["web", "code/mit", "code/gpl/v2", "code/gpl/v3"]
    )
    web, code = tree(data, {"web": 50, "code": 50, "code/gpl": 2}, end_of(data))
    assert (web.name, web.parts, web.weight) == ("web", (), 50)
    assert [part.full_name for part in code.parts] == ["code/mit", "code/gpl"]
    gpl = code.parts[1]
    assert [part.name for part in gpl.parts] == ["v2", "v3"]
    assert (gpl.samples, gpl.weight, gpl.on_exhaust) == (50, 2, None)
    assert code.share == pytest.approx(0.5)
    assert code.delivered == sum(part.delivered or 0 for part in components(code.parts))


def test_a_name_that_is_the_beginning_of_another_is_a_component_still() -> None:
    data = named(plan_data(labels([30, 20], 2), [1, 1]), ["c", "c/c++"])
    found = components(tree(data, {}, end_of(data)))
    assert [part.full_name for part in found] == ["c", "c/c++"]
    assert [part.samples for part in found] == [30, 20]
