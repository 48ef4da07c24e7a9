"""What `explain` says of weights that follow the training."""

from __future__ import annotations

import dataclasses

from mixtera.artifact.model import OrderParameters, Steering
from mixtera.explanation.build import report
from mixtera.explanation.html import html
from mixtera.explanation.steered import sentences, steered_of
from mixtera.explanation.text import text
from tests.synthetic import plan_data

ORDER = OrderParameters(seed=1, shuffle="global", chunk_size=64, lanes=4, granule=8)


def plan(**changes: object):
    import numpy as np

    labels = [np.arange(300, dtype=np.uint8) % 2]
    how = dataclasses.replace(Steering("odm", {"warmup": 5}, None, None, 1, 1, None), **changes)
    return dataclasses.replace(plan_data(labels, (3.0, 1.0), order=ORDER), steering=how)


def test_it_says_that_weights_follow_and_how_soon() -> None:
    found = report(plan(floor=0.05), "sha256:0", batch=16)
    assert found.steered == steered_of(plan(floor=0.05), 16)
    shown = text(found)
    assert "The weights follow the training by the algorithm odm" in shown
    assert "Every component keeps at least 5.00 %." in shown
    assert "Rounds have 256 samples: what a step reports counts 16 to 32 steps later." in shown
    page = html(found)
    assert "counts 16 to 32 steps later" in page


def test_without_a_batch_it_counts_rounds() -> None:
    found = steered_of(plan(ceiling=0.8, floor=0.1), None)
    assert found is not None
    _, bounds, rounds = sentences(found, "sequences")
    assert bounds == "Every component keeps at least 10.00 % and at most 80.00 %."
    assert rounds == "Rounds have 256 sequences: what a step reports counts after 1 to 2 of them."


def test_a_static_plan_has_nothing_of_it() -> None:
    static = dataclasses.replace(plan(), steering=None)
    assert report(static, "sha256:0").steered is None
    assert "follow the training" not in text(report(static, "sha256:0"))
    assert "follow the training" not in html(report(static, "sha256:0"))


def test_json_has_all_of_it() -> None:
    from mixtera.explanation.explain import Explanation

    found = Explanation(report(plan(lag=3), "sha256:0", batch=100)).to_json()["steered"]
    assert (found["algorithm"], found["lag"], found["round_positions"], found["round_steps"]) == ("odm", 3, 256, 2.56)
    assert found["options"] == {"warmup": 5}
