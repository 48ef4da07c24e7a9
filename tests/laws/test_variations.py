"""The laws for orders that are not the plain one: curricula, splits, exclusions, and plans that take over."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

import mixtera
from mixtera.adapters.torch import MixteraDataset, loader
from mixtera.compiler import Stop
from mixtera.testing.order import assert_any_topology, assert_delivered_as_planned, assert_resumable, assert_shares_hold
from tests.laws.conftest import MIXTURES, SOURCES
from tests.paged import assert_pages_change_nothing

VARIATIONS = {
    "curriculum": MIXTURES["weighted"].replace("lanes: 6}", "lanes: 6, by: [score, {value: stars, descending: true}]}"),
    "one-of-each": MIXTURES["repeat"]
    .replace("weight: 1, max", "weight: 1, order: {by: score}, max")
    .replace("name: other, weight: 2", "name: other, weight: 2, order: {shuffle: none}"),
    "split": MIXTURES["redistribute"] + "holdout: {fraction: 0.3, by: score}\n",
    "excluded": MIXTURES["redistribute"] + "exclude: {path: gone.csv, columns: {language: lang, score: score}}\n",
}
CONTINUED = {
    "the same": ("weighted", "weighted", 700),
    "other weights": ("redistribute", "natural", 333),
    "a curriculum": ("natural", "curriculum", 1000),
    "exclusions": ("redistribute", "excluded", 501),
    "from repetition": ("repeat", "one-of-each", 4001),
}


@pytest.fixture(scope="module")
def compiled(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., mixtera.Plan]:
    directory = tmp_path_factory.mktemp("variations")
    (directory / "gone.csv").write_text("lang,score\nen,0.25\nde,0.5\nfr,0.0625\n")
    catalog = mixtera.Catalog.open(str(directory / "catalog"))

    def compile(name: str, stop: Stop | None = None) -> mixtera.Plan:
        path = directory / f"{name}.yaml"
        path.write_text(SOURCES.format(root=root) + (MIXTURES | VARIATIONS)[name])
        spec = mixtera.load(str(path))
        catalog.index(spec)
        return mixtera.compile(spec, catalog, continue_from=stop)

    return compile


@pytest.mark.parametrize("name", VARIATIONS)
def test_variations_keep_the_laws(name: str, compiled: Callable[..., mixtera.Plan]) -> None:
    plan = compiled(name)
    assert plan.digest == compiled(name).digest
    assert_any_topology(plan, [(1, 32), (3, 5), (4, 16)])
    assert_resumable(plan, [0, 3, 11], (2, 16), (3, 7))
    assert_delivered_as_planned(plan)
    phases = plan.data.timeline.phases
    for phase, end in zip(phases, [*(after.first for after in phases[1:]), len(plan)], strict=True):
        assert_shares_hold(plan, phase.first, end)
    table = plan.samples(0, len(plan))
    for position in range(0, len(plan), 211):
        assert position in plan.locate(table["sample"][position].as_py())


@pytest.mark.parametrize("name", CONTINUED)
def test_plans_that_take_over_keep_the_laws(name: str, compiled: Callable[..., mixtera.Plan], tmp_path: Path) -> None:
    first, second, position = CONTINUED[name]
    old = compiled(first)
    new = compiled(second, Stop(old, position))
    assert new.start == position
    assert_any_topology(new, [(1, 32), (3, 5), (4, 16)])
    assert_resumable(new, [0, 3, 11], (2, 16), (3, 7))
    table = new.samples(new.start, new.start + len(new))
    for offset in range(0, len(new), 211):
        assert position + offset in new.locate(table["sample"][offset].as_py())
    new.save(str(tmp_path / "plan"))
    again = mixtera.Plan.open(str(tmp_path / "plan"))
    assert again.digest == new.digest
    assert again.samples(position, position + 500).equals(new.samples(position, position + 500))


@pytest.mark.parametrize("name", ["one-of-each", "excluded", "the same"])
def test_arrays_that_come_in_pages_change_nothing(
    name: str, compiled: Callable[..., mixtera.Plan], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if name in CONTINUED:
        first, second, position = CONTINUED[name]
        plan = compiled(second, Stop(compiled(first), position))
    else:
        plan = compiled(name)
    assert_pages_change_nothing(plan, monkeypatch, tmp_path, [(3, 16)])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_trainer_restarts_with_the_new_plan_and_its_old_checkpoint(
    workers: int, compiled: Callable[..., mixtera.Plan]
) -> None:
    old = compiled("redistribute")
    batches = loader(old, batch_size=8, num_workers=workers)
    for step, _ in enumerate(batches, start=1):
        if step == 40:
            break
    state = json.loads(json.dumps(batches.state_dict()))
    new = compiled("natural", Stop.of(old, state))
    again = loader(new, batch_size=16, num_workers=workers)
    again.load_state_dict(state)
    got = [sample for _, batch in zip(range(20), again, strict=False) for sample in batch["sample"].tolist()]
    assert got == new.samples(320, 640)["sample"].to_pylist()
    assert again.state_dict()["position"] == 640
    plain = DataLoader(MixteraDataset(new, batch_size=16), batch_size=None, num_workers=workers)
    assert next(iter(plain))["sample"].tolist() == got[:16]


JAX = """
import json, sys
import mixtera
from mixtera.adapters.jax import MixteraLoader

new = mixtera.Plan.open(sys.argv[1])
batches = iter(MixteraLoader(new, batch_size=16))
batches.set_state(json.loads(sys.argv[2]))
assert next(batches)["sample"].tolist() == new.samples(320, 336)["sample"].to_pylist()
assert batches.get_state()["position"] == 336
"""


def test_jax_takes_over_too(compiled: Callable[..., mixtera.Plan], tmp_path: Path) -> None:
    old = compiled("redistribute")
    state = old.state_at(320)
    compiled("natural", Stop.of(old, state)).save(str(tmp_path / "plan"))
    # a process of its own: where JAX was used, no other test may fork any more
    subprocess.run([sys.executable, "-c", JAX, str(tmp_path / "plan"), json.dumps(state)], check=True, timeout=600)
