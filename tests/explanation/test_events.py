"""Where components have given everything."""

from __future__ import annotations

import numpy as np
import pytest

from mixtera.explanation.build import report
from mixtera.explanation.text import text
from tests.explanation.plans import labels, named, repeating
from tests.synthetic import plan_data

pytestmark = pytest.mark.usefixtures("short_simulation")
DIGEST = "sha256:" + "0" * 64


def test_what_repeats_leaves_and_ends_with_the_step() -> None:
    data = named(
        plan_data(labels([300, 100, 60], 2), [1, 1, 1], epochs=[1, 2, 1], on_exhaust="redistribute"), ["a", "b", "c"]
    )
    found = report(data, DIGEST, batch=16).events
    assert [(event.kind, event.components) for event in found] == [
        ("leaves", ("c",)),
        ("repeats", ("b",)),
        ("leaves", ("b",)),
    ]
    assert all(event.step == event.position // 16 for event in found)
    for event in found:
        before, at = data.timeline.filled(np.array([event.position - 1, event.position]))
        number = "abc".index(event.components[0])
        places = data.components[number].samples if event.kind == "repeats" else data.components[number].places
        assert at[number] == places
        assert event.kind != "repeats" or before[number] == places - 1


def test_the_component_that_ends_the_stream_is_the_last_event() -> None:
    data = named(plan_data(labels([300, 100], 2), [1, 1]), ["a", "b"])
    last = report(data, DIGEST).events[-1]
    assert (last.kind, last.components, last.position, last.step) == ("ends", ("b",), data.timeline.total, None)


def test_without_a_second_epoch_nothing_repeats() -> None:
    data = plan_data(labels([300, 100], 2), [300, 100])
    assert report(data, DIGEST).events == ()
    assert "Exhaustion" not in text(report(data, DIGEST))


def test_an_endless_component_repeats_after_its_first_epoch() -> None:
    data = repeating(repeating(plan_data(labels([300, 100], 2), [1, 1]), 0), 1)
    found = report(data, DIGEST).events
    assert [(event.kind, event.components) for event in found] == [("repeats", ("c1",)), ("repeats", ("c0",))]
    assert [event.position for event in found] == [part.first_epoch_ends for part in report(data, DIGEST).mixture][::-1]


def test_many_events_are_cut_in_the_text_only() -> None:
    data = plan_data(labels([5 * n for n in range(1, 41)], 2), [1.0] * 40, on_exhaust="redistribute")
    found = report(data, DIGEST)
    assert len(found.events) > 20
    section = text(found).split("Exhaustion\n")[1].split("\n\n")[0].splitlines()
    assert len(section) == 14
    assert "`--format json` has all of them" in section[-1]
