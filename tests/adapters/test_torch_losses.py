"""Losses by component in PyTorch, against a loop over tokens, in one process and in two."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixtera.adapters.losses import LossReport
from mixtera.adapters.torch.losses import loss_by_component
from mixtera.errors import PlanError

NAMES = ["web", "code/python", "books"]


def by_hand(losses: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> LossReport:
    sums, counts = dict.fromkeys(NAMES, 0.0), dict.fromkeys(NAMES, 0)
    for row in range(losses.shape[0]):
        for token in range(losses.shape[1]):
            if mask[row, token]:
                name = NAMES[int(ids[row] if ids.dim() == 1 else ids[row, token])]
                sums[name] += float(losses[row, token])
                counts[name] += 1
    return LossReport(sums, counts)


@given(seed=st.integers(0, 1000), batch=st.integers(1, 5), tokens=st.integers(1, 9), per_token=st.booleans())
def test_sums_and_counts_are_those_of_a_loop(seed: int, batch: int, tokens: int, per_token: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    losses = torch.rand(batch, tokens, generator=generator) * 12
    ids = torch.randint(3, (batch, tokens) if per_token else (batch,), generator=generator, dtype=torch.int32)
    mask = torch.rand(batch, tokens, generator=generator) > 0.3
    got, expected = loss_by_component(losses, ids, NAMES, mask), by_hand(losses, ids, mask)
    assert got.loss_count == expected.loss_count
    assert got.loss_sum == pytest.approx(expected.loss_sum)
    assert got.mean == pytest.approx({n: expected.loss_sum[n] / c for n, c in expected.loss_count.items() if c})
    whole = by_hand(losses, ids, torch.ones_like(mask))
    assert loss_by_component(losses, ids, NAMES).loss_count == whole.loss_count
    assert whole.loss == pytest.approx(float(losses.mean()))
    both = got + whole
    assert both.loss_count == {name: got.loss_count[name] + whole.loss_count[name] for name in NAMES}


def test_there_is_no_mean_of_no_tokens() -> None:
    nothing = loss_by_component(torch.ones(1, 2), torch.tensor([0]), NAMES, torch.zeros(1, 2, dtype=torch.bool))
    assert math.isnan(nothing.loss)
    assert nothing.mean == {}


def test_sums_of_bfloat16_do_not_lose_tokens() -> None:
    losses = torch.full((4, 4096), 2.5, dtype=torch.bfloat16, requires_grad=True)
    got = loss_by_component(losses, torch.tensor([0, 0, 0, 2]), NAMES)
    assert got == LossReport(
        {"web": 2.5 * 3 * 4096, "code/python": 0.0, "books": 2.5 * 4096},
        {"web": 3 * 4096, "code/python": 0, "books": 4096},
    )
    assert all(type(value) is float for value in got.loss_sum.values())
    assert all(type(value) is int for value in got.loss_count.values())


def test_losses_of_samples_need_no_second_dimension() -> None:
    got = loss_by_component(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2, 0, 2]), NAMES)
    assert got.loss_sum == {"web": 2.0, "code/python": 0.0, "books": 5.0}


def test_nan_stays_in_its_component_and_behind_the_mask() -> None:
    losses = torch.tensor([[1.0, math.nan], [2.0, math.inf], [3.0, math.nan]])
    got = loss_by_component(losses, torch.tensor([0, 1, 2]), NAMES, torch.tensor([[1, 1], [1, 1], [1, 0]]))
    assert math.isnan(got.loss_sum["web"])
    assert got.loss_sum["code/python"] == math.inf
    assert got.loss_sum["books"] == 3.0
    assert got.loss_count == {"web": 2, "code/python": 2, "books": 1}


def test_ids_of_no_component_are_refused_unless_they_do_not_count() -> None:
    losses, ids = torch.ones(3, 4), torch.tensor([0, -1, 7])
    with pytest.raises(PlanError, match="8 tokens have a component id that is none of 0 to 2"):
        loss_by_component(losses, ids, NAMES)
    got = loss_by_component(losses, ids, NAMES, torch.tensor([[1] * 4, [0] * 4, [0] * 4]))
    assert got.loss_count == {"web": 4, "code/python": 0, "books": 0}


@pytest.mark.parametrize(
    ("losses", "ids", "names", "mask", "said"),
    [
        ((2, 3, 4), (2,), NAMES, None, r"losses have the shape \[2, 3, 4\]"),
        ((), (), NAMES, None, r"losses have the shape \[\]"),
        ((2, 3), (3,), NAMES, None, r"component has the shape \[3\] and losses have \[2, 3\]"),
        ((2, 3), (2, 1), NAMES, None, r"component has the shape \[2, 1\]"),
        ((2, 3), (2,), NAMES, (2,), r"mask has the shape \[2\]"),
        ((2, 3), (2,), "web", None, "components is 'web'"),
        ((2, 3), (2,), [], None, r"components is \[\]"),
        ((2, 3), (2,), ["a", "a"], None, "each once"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(losses, ids, names, mask, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        loss_by_component(
            torch.ones(losses), torch.zeros(ids, dtype=torch.long), names, None if mask is None else torch.ones(mask)
        )


RANK = """
import sys
import torch, torch.distributed as dist
from mixtera.adapters.torch.losses import loss_by_component
from mixtera.errors import PlanError

rank, store = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
alone = [dist.new_group([0]), dist.new_group([1])][rank]
names = ["web", "code", "books"]
losses = torch.arange(8.0).view(2, 4) + 100 * rank
ids = torch.tensor([[0, 1], [1, 1]][rank], dtype=torch.int32)
print(loss_by_component(losses, ids, names))
print(loss_by_component(losses, ids, names, group=alone))
try:
    loss_by_component(losses, ids + 2 * rank, names)  # the ids of rank 1 alone are wrong
except PlanError as error:
    print(error)
dist.barrier()
del alone  # a group ends when nobody has it any more
dist.destroy_process_group()
"""


def test_two_ranks_add_up_and_fail_together(tmp_path: Path) -> None:
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), str(tmp_path / "store")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [rank.communicate(timeout=600) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], said
    lines = [out.splitlines() for out, _ in said]
    together = LossReport({"web": 6.0, "code": 850.0, "books": 0.0}, {"web": 4, "code": 12, "books": 0})
    assert lines[0][0] == lines[1][0] == str(together)
    assert lines[0][1] == str(LossReport({"web": 6.0, "code": 22.0, "books": 0.0}, {"web": 4, "code": 4, "books": 0}))
    assert lines[1][1] == str(LossReport({"web": 0.0, "code": 828.0, "books": 0.0}, {"web": 0, "code": 8, "books": 0}))
    assert lines[0][2] == lines[1][2]
    assert lines[0][2].startswith("8 tokens have a component id that is none of 0 to 2")
