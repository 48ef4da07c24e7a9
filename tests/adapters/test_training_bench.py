"""`python -m benchmarks.training` measures trainings that really go on: a tiny one, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from benchmarks import training, training_resume, training_turns
from benchmarks.gpt import Shape, Trainer
from benchmarks.specs import GROUPS
from benchmarks.tokens import SEPARATOR
from benchmarks.training_plans import make_plan, name_of
from mixtera.adapters.torch import loader

CPU = torch.device("cpu")
SHAPE = Shape(layers=1, width=16, context=32, batch=4, vocabulary=64)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """More of them only wait for each other in so small a model."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of token files, one for each component."""
    work, random = tmp_path_factory.mktemp("training"), np.random.default_rng(3)
    (work / "tokens").mkdir()
    for part in range(len(GROUPS)):
        ids = random.integers(1, SHAPE.vocabulary, 20_000).astype(np.uint16)
        ids[99::100] = SEPARATOR
        ids.tofile(work / "tokens" / f"{name_of(part)}.u16")
    return make_plan(work, "tokens", SHAPE)


def test_turns_and_their_table(plan: str) -> None:
    trainer = Trainer(SHAPE, CPU)
    on_device = next(iter(loader(plan, SHAPE.batch)))
    reference, again, _ = training.references(on_device, len(GROUPS))
    reported: list[int] = []
    read = training.of_loader("tokens", plan, 0, SHAPE, 3)
    read.after = lambda step, batch, losses: reported.append(step)
    variants = [reference, read, again]
    for turn in range(2):
        for variant in variants:
            variant.turns.append(training_turns.run_turn(trainer, variant, turn, warmup=1, steps=2))
    assert reported == [0, 1, 2, 3, 4, 5]
    read.alone = training_turns.alone(read.begin(0), SHAPE, 0.01)
    found = [training_turns.summary(variant, reference.turns, SHAPE) for variant in variants]
    assert [figure["variant"] for figure in found] == [variant.name for variant in variants]
    assert found[0]["ratios"] == [1, 1]
    for variant, figure in zip(variants, found, strict=True):
        assert [(len(turn.waits), len(turn.gaps)) for turn in variant.turns] == [(2, 1), (2, 1)]
        assert figure["tokens/s"] == pytest.approx(figure["steps/s"] * SHAPE.tokens, rel=0.01)
        assert figure["wait ms p50"] >= 0 < figure["gap ms p50"]
    assert found[1]["alone tokens/s"] > 0
    lines = training_turns.markdown(found).splitlines()
    assert len(lines) == 2 + len(variants)
    assert {line.count("|") for line in lines} == {len(training_turns.HEADERS) + 1}


def test_what_goes_on_gets_the_same(plan: str) -> None:
    found = training_resume.check_resume(plan, lambda: Trainer(SHAPE, CPU), SHAPE, workers=(0, 1), steps=2)
    assert found["workers"] == [1, 0]
    assert found["batches equal"]
    assert found["losses differ by at most"] == 0


def batch(first: int) -> dict[str, object]:
    tokens = torch.arange(first, first + 10, dtype=torch.int32).view(2, 5)
    return {"tokens": tokens, "component": ["a", "b"], "sample": [tokens[0].long(), tokens[1].long()]}


def test_equal_is_what_is_equal_to_the_last_element() -> None:
    assert training_resume.same([batch(0), batch(3)], [batch(0), batch(3)])
    assert not training_resume.same([batch(0), batch(3)], [batch(0), batch(4)])
    assert not training_resume.same([batch(0)], [batch(0), batch(3)])
    assert not training_resume.same([batch(0)], [{**batch(0), "component": ["a", "a"]}])
    assert not training_resume.same([batch(0)], [{**batch(0), "sample": batch(1)["sample"]}])


def test_the_model_learns_what_counts_and_nothing_else() -> None:
    shape = Shape(layers=1, width=16, context=8, batch=2, vocabulary=32)
    trainer = Trainer(shape, CPU)
    trainer.optimizer.param_groups[0]["lr"] = 3e-3
    tokens = torch.arange(9, dtype=torch.int32).repeat(2, 1)
    mask = torch.ones(2, 8, dtype=torch.bool)
    mask[:, 4:] = False
    batch = {"tokens": tokens, "position_ids": torch.arange(8).repeat(2, 1), "loss_mask": mask}
    losses = [trainer.step(batch) for _ in range(60)]
    before, after = losses[0].mean(0), losses[-1].mean(0)
    assert (after[:4] < before[:4] / 2).all()  # learned
    assert (after[4:] > before[4:]).all()  # not learned: what the mask leaves out
