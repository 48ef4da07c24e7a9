"""JAX: the plan's order, numbers on the devices, text on the host, Grain's protocol for the state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from itertools import islice
from pathlib import Path

import jax
import numpy as np
import pytest

from mixtera.adapters.jax import MixteraLoader, jax_batch
from mixtera.errors import PlanError, SampleError, StateError
from mixtera.plan import Plan


def samples(batches) -> list[int]:
    return [sample for batch in batches for sample in batch["sample"].tolist()]


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_the_loader_keeps_the_order(plan: Plan, order: list[int], prefetch: int) -> None:
    batches = MixteraLoader(plan, batch_size=8, prefetch=prefetch)
    assert len(batches) == len(order) // 8
    assert samples(batches) == order[: len(order) // 8 * 8]


def test_numbers_are_on_the_device_and_text_on_the_host(plan: Plan) -> None:
    iterator = iter(MixteraLoader(plan, batch_size=8))
    batch = next(iterator)
    assert isinstance(batch["component_id"], jax.Array)
    assert batch["component_id"].dtype == np.int32
    assert batch["sample"].dtype == np.int64
    names = [component.name for component in plan.data.components]
    assert batch["component"].tolist() == [names[i] for i in batch["component_id"].tolist()]
    assert all(type(text) is str for text in batch["text"])
    iterator.close()


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_the_state_counts_what_was_taken(plan: Plan, order: list[int], taken: int) -> None:
    first = iter(MixteraLoader(plan, batch_size=8))
    got = samples(islice(first, taken))
    state = json.loads(json.dumps(first.get_state()))
    second = iter(MixteraLoader(plan, batch_size=12, prefetch=1))
    next(second)
    second.set_state(state)
    assert second.get_state() == state
    assert got + samples(islice(second, 4)) == order[: taken * 8 + 48]
    first.close()
    second.close()


def test_ranks_share_the_order(plan: Plan, order: list[int]) -> None:
    ranks = [MixteraLoader(plan, batch_size=4, rank=rank, world_size=2) for rank in range(2)]
    got = [sample for batches in zip(*ranks, strict=True) for batch in batches for sample in batch["sample"].tolist()]
    assert got == order[: len(order) // 8 * 8]


def test_wrong_arguments_and_states_are_refused(plan: Plan) -> None:
    with pytest.raises(PlanError, match="give both, or neither"):
        MixteraLoader(plan, batch_size=8, rank=1)
    with pytest.raises(PlanError, match="prefetch is -1"):
        MixteraLoader(plan, batch_size=8, prefetch=-1)
    iterator = iter(MixteraLoader(plan, batch_size=8))
    with pytest.raises(StateError, match="plan digest"):
        iterator.set_state(iterator.get_state() | {"plan": "sha256:0"})


def test_numbers_that_do_not_fit_are_refused() -> None:
    fits = jax_batch({"n": np.arange(4, dtype=np.int64)}, None)
    assert fits["n"].tolist() == [0, 1, 2, 3]
    with pytest.raises(SampleError, match="'n' holds numbers that need int64, and JAX keeps int32"):
        jax_batch({"n": np.array([2**40])}, None)


def test_closing_ends_the_threads(plan: Plan) -> None:
    iterator = iter(MixteraLoader(plan, batch_size=8))
    next(iterator)
    iterator.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("mixtera")]


SHARDED = """
import sys
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from mixtera.adapters.jax import MixteraLoader

mesh = Mesh(np.array(jax.devices()), ("data",))
sharding = NamedSharding(mesh, PartitionSpec("data"))
one = iter(MixteraLoader(sys.argv[1], batch_size=16))
for count, batch in zip(range(5), MixteraLoader(sys.argv[1], batch_size=16, sharding=sharding)):
    ids = batch["component_id"]
    assert len(ids.addressable_shards) == 4 and ids.sharding == sharding and ids.shape == (16,)
    assert {shard.data.shape for shard in ids.addressable_shards} == {(4,)}
    assert jax.jit(lambda x: x.sum())(ids) == next(one)["component_id"].sum()
print("same")
"""


def test_a_sharding_over_several_devices_makes_global_arrays(plan_path: Path) -> None:
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SHARDED), str(plan_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "same\n"
