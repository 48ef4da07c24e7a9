"""A simulated run: batches, exhaustion, losses."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from mixtera.algorithms import Settings
from mixtera.errors import AlgorithmError
from mixtera.simulation import Component, Modelled, Recorded, simulate
from mixtera.simulation.losses import Law, default_law
from mixtera.simulation.page import html
from mixtera.simulation.text import as_json, as_text

STILL = Settings("external")  # modelled losses push no weights, so they stay


def component(name, weight, size=None, places=None, policy="stop"):
    return Component(name, weight, size, places, policy)


def run(components, settings=STILL, steps=50, batch=10, **more):
    losses = Modelled([each.name for each in components], {})
    return simulate(components, settings, losses, steps, batch, **more)


def test_batches_follow_the_weights_to_the_sample():
    found = run([component("a", 0.7), component("b", 0.2), component("c", 0.1)], steps=37, batch=7)
    assert sum(found.points[-1].delivered) == 37 * 7
    for point in found.points:
        for delivered, share in zip(point.delivered, (0.7, 0.2, 0.1), strict=True):
            assert abs(delivered - share * point.step * 7) <= 1


def test_many_components_share_a_small_batch():
    found = run([component(f"c{n}", 1 / 100) for n in range(100)], steps=100, batch=3)
    assert sum(found.points[-1].delivered) == 300
    assert set(found.points[-1].delivered) == {3}


def test_a_component_that_runs_out_ends_the_run():
    found = run([component("a", 0.5, 100, 100), component("b", 0.5, 1000, 1000)], steps=50, batch=10)
    assert found.steps == 20
    assert found.ended == "a has run out (on_exhaust: stop)"
    assert [(each.component, each.step, each.then) for each in found.exhausted] == [("a", 20, "ends the run")]
    assert found.epochs == (1.0, 0.1)


def test_a_component_that_runs_out_leaves_its_share():
    found = run(
        [component("a", 0.5, 100, 100, "redistribute"), component("b", 0.3), component("c", 0.2)], steps=50, batch=10
    )
    assert found.ended is None
    assert found.exhausted[0].step == 20
    assert found.points[-1].weights == pytest.approx((0, 0.6, 0.4))
    assert found.points[-1].delivered == (100, 240, 160)


def test_when_everything_is_gone_the_run_ends():
    found = run([component(n, 0.5, 100, 100, "redistribute") for n in "ab"], steps=50, batch=10)
    assert (found.steps, found.ended) == (20, "every component has run out")


def test_a_run_is_the_same_twice():
    components = [component("a", 0.5), component("b", 0.5)]
    settings = Settings("ado", {"start": 120, "ignore": 20, "interval": 60, "starts": 1}, floor=0.2, every=10)
    first, second = (run(components, settings, steps=260) for _ in range(2))
    assert first == second
    assert [each.step for each in first.fits] == [120, 180, 240]
    assert first.changes > 5
    assert all(min(point.weights) >= 0.2 - 1e-12 for point in first.points)


def test_modelled_losses_are_their_laws():
    losses = Modelled(["a", "b"], {"b": Law(2.0, 3.0, 0.5)})
    report = losses.report(4, np.array([2.0, 5.0]), np.array([10.0, 99.0]))
    assert report.loss_sum[1] == pytest.approx(5 * (2.0 + 3.0 * 100**-0.5))
    assert losses.laws[0] == default_law(0) != default_law(1)


def test_a_law_of_no_component_is_refused():
    with pytest.raises(AlgorithmError, match="a law is given for 'x', and there are: a"):
        Modelled(["a"], {"x": Law(1, 1, 1)})


def test_recorded_losses_are_reported_as_they_are():
    table = pa.table(
        {
            "step": [0, 0, 2, 2, 2],
            "component": ["a", "b", "b", "a", "a"],
            "loss_sum": [4.0, 9.0, 6.0, 1.0, 2.0],
            "loss_count": [2, 3, 3, 1, 1],
        }
    )
    losses = Recorded(["a", "b"], table, "x")
    assert losses.steps == 3
    assert losses.report(1, np.ones(2), np.ones(2)) is None
    report = losses.report(2, np.array([3.0, 4.0]), np.ones(2))
    assert (report.loss_sum, report.loss_count, report.samples) == ([3.0, 6.0], [2.0, 3.0], [3.0, 4.0])
    found = simulate([component("a", 0.5), component("b", 0.5)], Settings("loss_average", {"decay": 1}), losses, 3, 10)
    assert found.points[-1].weights == pytest.approx((1.75 / 4.25, 2.5 / 4.25))


def test_the_text_and_the_json_say_the_same():
    found = run([component("a", 0.5, 100, 100), component("b", 0.5, 1000, 1000)], points=3)
    text, values = as_text(found), as_json(found)
    assert "The run ends there: a has run out (on_exhaust: stop)." in text
    assert "step 20" in text
    assert values["exhausted"] == [{"component": "a", "step": 20, "then": "ends the run"}]
    assert [point["step"] for point in values["points"]] == [0, 20]
    assert values["components"][0]["epochs"] == 1.0


def test_the_page_is_well_formed_and_shows_what_the_text_shows():
    name = 'a<script>"&'
    found = run([component(name, 0.5, 100, 100), component("b", 0.5, 1000, 1000)], points=9)
    page = html(found, "mix <b>")
    assert "<script" not in page
    assert page.count("<svg") == 2
    for drawn in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(drawn)
    for text in ("a has run out", "step 20", "mix &lt;b&gt;", "Epochs", "1.00"):
        assert text.replace("a has", "a&lt;script&gt;&#34;&amp; has") in page
    assert "dashed lines" in page


def test_a_page_without_sizes_counts_samples():
    page = html(run([component(f"c{n}", 0.1) for n in range(10)], points=4), "x")
    assert "Samples delivered" in page
    assert "var(--others)" in page
    assert "dashed lines" not in page


def test_the_text_shows_no_steering_characters():
    assert "\x1b" not in as_text(run([component("a\x1b[31m", 1.0)]))
