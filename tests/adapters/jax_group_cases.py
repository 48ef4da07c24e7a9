"""JAX over text and images: each batch of one kind, on every process the same one."""

from __future__ import annotations

from itertools import islice

import jax
import numpy as np
import pytest

from mixtera.adapters.jax import MixteraLoader
from mixtera.errors import PlanError
from mixtera.plan import Plan
from tests.both import saved


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return Plan.open(str(saved(tmp_path_factory.mktemp("both"))))


def test_tokens_are_on_the_device_and_images_on_the_host(both: Plan) -> None:
    kinds = set()
    for batch in MixteraLoader(both, batch_size=8):
        kinds.add("tokens" in batch)
        if "tokens" in batch:
            assert isinstance(batch["tokens"], jax.Array)
            assert batch["tokens"].shape == (8, 33)
        else:
            assert isinstance(batch["image"], np.ndarray)
            assert {type(image) for image in batch["image"].tolist()} == {bytes}
            assert set(batch["caption"].tolist()) == {"a picture"}
    assert kinds == {True, False}


def test_a_state_goes_on_with_another_batch_size(both: Plan) -> None:
    first = iter(MixteraLoader(both, batch_size=8))
    assert len(list(islice(first, 7))) == 7
    again = iter(MixteraLoader(both, batch_size=4))
    again.set_state(first.get_state())
    following = next(first)
    held = [next(again), next(again)]
    name = "tokens" if "tokens" in following else "image"
    assert np.concatenate([np.asarray(batch[name]) for batch in held]).tolist() == np.asarray(following[name]).tolist()
    wrong = iter(MixteraLoader(both, batch_size=16))
    with pytest.raises(PlanError, match="batches of 16 from position 56"):
        wrong.set_state(both.state_at(56))


def test_global_batches_are_of_one_kind(both: Plan) -> None:
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    MixteraLoader(both, batch_size=8, sharding=sharding, rank=0, world_size=2)
    with pytest.raises(PlanError, match="batches of 32 of plan 'both' would mix"):
        MixteraLoader(both, batch_size=16, sharding=sharding, rank=0, world_size=2)
    MixteraLoader(both, batch_size=16, rank=0, world_size=2)  # batches of their own may differ
