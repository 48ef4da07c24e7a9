"""PyTorch over text and images: each batch of one kind, in the plan's order, with any workers."""

from __future__ import annotations

import json
from itertools import islice

import pytest
import torch

from mixtera.adapters.torch import MixteraDataset, loader
from mixtera.errors import PlanError
from mixtera.plan import Plan
from tests.both import saved

Batch = dict[str, object]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return Plan.open(str(saved(tmp_path_factory.mktemp("both"))))


def rows(batches) -> list[object]:
    found: list[object] = []
    for batch in batches:
        names = ("tokens",) if "tokens" in batch else ("image", "caption", "sample")
        columns = [batch[name].tolist() if isinstance(batch[name], torch.Tensor) else batch[name] for name in names]
        found += [tuple(map(repr, row)) for row in zip(*columns, strict=True)]
    return found


@pytest.mark.parametrize(("size", "workers"), [(16, 0), (8, 1), (4, 2), (16, 2)])
def test_batches_of_one_kind_in_the_order_of_the_plan(plan: Plan, size: int, workers: int) -> None:
    batches = list(loader(plan, batch_size=size, num_workers=workers))
    assert {"tokens" in batch for batch in batches} == {True, False}
    for batch in batches:
        if "tokens" in batch:
            assert {"document_ids", "position_ids", "loss_mask"} <= set(batch)
        else:
            assert set(batch) == {"image", "caption", "component", "component_id", "sample"}
            assert batch["component"] == ["pictures"] * size
            assert all(type(image) is bytes for image in batch["image"])
    assert rows(batches) == rows(loader(plan, batch_size=1))[: len(plan) // size * size]


def test_a_run_goes_on_with_other_workers_and_batches(plan: Plan) -> None:
    whole = rows(loader(plan, batch_size=1))
    first = loader(plan, batch_size=8, num_workers=2, rank=0, world_size=2)
    assert len(list(islice(first, 6))) == 6
    state = json.loads(json.dumps(first.state_dict()))
    again = loader(plan, batch_size=16, num_workers=1)
    again.load_state_dict(state)
    assert rows(again) == whole[96:][: (len(whole) - 96) // 16 * 16]


def test_what_would_mix_is_refused_before_anything_is_read(plan: Plan) -> None:
    with pytest.raises(PlanError, match=r"batches of 12 of plan 'both' would mix .*tokens and image \+ caption.* as 4"):
        loader(plan, batch_size=12)
    with pytest.raises(PlanError, match="or compile with a group of 32"):
        MixteraDataset(plan, batch_size=32)
    other = loader(plan, batch_size=16)
    with pytest.raises(PlanError, match=r"batches of 16 from position 8 .* from there, batches of 8 do not"):
        other.load_state_dict(plan.state_at(8))
    assert len(rows(islice(other, 1))) == 16  # as if nothing had been loaded


def test_columns_may_be_chosen(plan: Plan) -> None:
    batches = list(loader(plan, batch_size=16, columns=["caption"]))
    assert any("caption" in batch and "image" not in batch for batch in batches)
    with pytest.raises(PlanError, match="no content column 'text'; it has image, caption"):
        loader(plan, batch_size=16, columns=["text"])
