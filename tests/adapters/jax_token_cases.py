"""Masks and losses by component in JAX: against loops, under `jit`, over devices and over processes."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixtera.adapters.jax.losses import component_sums, loss_by_component, loss_report
from mixtera.adapters.jax.masks import document_mask, segment_ids
from mixtera.adapters.losses import LossReport
from mixtera.errors import PlanError
from tests.ports import free_ports

NAMES = ["web", "code", "books"]
IDS = np.array([[0, 0, 0, 1, 1, 2], [0, 0, 1, 1, -1, -1]], np.int32)


def test_segments_count_from_one_and_padding_is_zero() -> None:
    expected = [[1, 1, 1, 2, 2, 3], [1, 1, 2, 2, 0, 0]]
    for make in (segment_ids, jax.jit(segment_ids)):
        got = make(IDS)
        assert got.tolist() == expected
        assert got.dtype == np.int32


def test_the_mask_is_causal_within_a_document() -> None:
    mask = np.asarray(jax.jit(document_mask)(IDS))
    assert mask.shape == (2, 1, 6, 6)
    for b, q, k in np.ndindex(2, 6, 6):
        assert mask[b, 0, q, k] == (k <= q and IDS[b, q] == IDS[b, k])


def test_attention_to_a_packed_row_is_attention_to_its_documents() -> None:
    q, k, v = jax.random.normal(jax.random.key(0), (3, 2, 6, 2, 8))
    whole = jax.nn.dot_product_attention(q, k, v, mask=document_mask(IDS))
    assert not jnp.isnan(whole).any()
    for row, start, stop in [(0, 0, 3), (0, 3, 5), (0, 5, 6), (1, 0, 2), (1, 2, 4)]:
        part = [x[row : row + 1, start:stop] for x in (q, k, v)]
        alone = jax.nn.dot_product_attention(*part, is_causal=True)
        np.testing.assert_allclose(whole[row, start:stop], alone[0], rtol=1e-5, atol=1e-5)


def test_the_segments_are_those_of_splash_attention() -> None:
    splash = pytest.importorskip("jax.experimental.pallas.ops.tpu.splash_attention")
    tokens = 256
    ids = np.repeat(np.array([[0, 1, 2, -1]], np.int32), 64, axis=1)
    mask = splash.MultiHeadMask([splash.CausalMask((tokens, tokens))] * 2)
    kernel = splash.make_splash_mha(mask, head_shards=1, q_seq_shards=1, interpret=True)
    q, k, v = jax.random.normal(jax.random.key(1), (3, 2, tokens, 128)) / 4
    segments = segment_ids(ids)[0]
    got = kernel(q, k, v, segment_ids=splash.SegmentIds(q=segments, kv=segments))
    heads_last = [x.transpose(1, 0, 2)[None] for x in (q, k, v)]
    expected = jax.nn.dot_product_attention(*heads_last, mask=document_mask(ids), scale=1.0)[0].transpose(1, 0, 2)
    np.testing.assert_allclose(got, expected, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("wrong", [np.zeros(3, np.int32), np.zeros((2, 3), np.float32)])
def test_what_is_no_document_ids_is_refused(wrong: np.ndarray) -> None:
    for use in (segment_ids, document_mask):
        with pytest.raises(PlanError, match="give integers of the shape"):
            use(wrong)


@pytest.mark.parametrize("per_token", [False, True])
def test_sums_and_counts_are_those_of_a_loop(per_token: bool) -> None:
    random = np.random.default_rng(3)
    losses = random.random((5, 9), np.float32) * 12
    ids = random.integers(0, 3, (5, 9) if per_token else 5, np.int32)
    mask = random.random((5, 9)) > 0.3
    sums, counts = dict.fromkeys(NAMES, 0.0), dict.fromkeys(NAMES, 0)
    for row, token in np.ndindex(5, 9):
        name = NAMES[ids[row, token] if per_token else ids[row]]
        sums[name] += float(losses[row, token]) if mask[row, token] else 0.0
        counts[name] += int(mask[row, token])
    for got in (
        loss_by_component(jnp.asarray(losses), jnp.asarray(ids), NAMES, jnp.asarray(mask)),
        loss_by_component(losses, ids, NAMES, mask),
        loss_report(NAMES, *jax.jit(component_sums, static_argnums=2)(losses, ids, 3, mask)),
    ):
        assert got.loss_count == counts
        assert got.loss_sum == pytest.approx(sums, rel=1e-5)


def test_nan_stays_in_its_component_and_behind_the_mask() -> None:
    losses = jnp.array([[1.0, math.nan], [2.0, 2.0], [3.0, math.nan]], jnp.bfloat16)
    got = loss_by_component(losses, jnp.arange(3), NAMES, jnp.array([[1, 1], [1, 1], [1, 0]]))
    assert math.isnan(got.loss_sum["web"])
    assert (got.loss_sum["code"], got.loss_sum["books"]) == (4.0, 3.0)
    assert got.loss_count == {"web": 2, "code": 2, "books": 1}


def test_ids_of_no_component_and_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(PlanError, match="8 tokens have a component id that is none of 0 to 2"):
        loss_by_component(jnp.ones((3, 4)), jnp.array([0, -1, 7]), NAMES)
    with pytest.raises(PlanError, match=r"component has the shape \[3\]"):
        loss_by_component(jnp.ones((2, 4)), jnp.zeros(3, int), NAMES)


DEVICES = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from mixtera.adapters.jax.losses import component_sums, loss_by_component, loss_report

names = ["web", "code", "books"]
mesh = Mesh(np.array(jax.devices()), ("data",))
losses = np.arange(32, dtype=np.float32).reshape(8, 4)
ids = np.array([0, 1, 1, 0, 1, 1, 0, 1], np.int32)
expected = loss_by_component(losses, ids, names)
sharded = [jax.device_put(x, NamedSharding(mesh, P("data"))) for x in (losses, ids)]
assert loss_by_component(*sharded, names) == expected
mapped = jax.jit(jax.shard_map(
    lambda l, c: component_sums(l, c, 3, axis_name="data"), mesh=mesh, in_specs=P("data"), out_specs=P()
))
assert loss_report(names, *mapped(*sharded)) == expected
print(len(jax.devices()), "devices", expected.loss_count)
"""

PROCESSES = """
import sys
import jax, numpy as np
rank = int(sys.argv[1])
jax.distributed.initialize(f"127.0.0.1:{sys.argv[2]}", num_processes=2, process_id=rank)
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from mixtera.adapters.jax.losses import loss_by_component
from mixtera.errors import PlanError

names = ["web", "code", "books"]
losses = np.arange(8, dtype=np.float32).reshape(2, 4) + 100 * rank
ids = np.array([[0, 1], [1, 1]][rank], np.int32)
own = loss_by_component(jax.numpy.asarray(losses), jax.numpy.asarray(ids), names)
sharding = NamedSharding(Mesh(np.array(jax.devices()), ("data",)), P("data"))
placed = [jax.make_array_from_process_local_data(sharding, x) for x in (losses, ids)]
assert not placed[0].is_fully_addressable
assert loss_by_component(*placed, names) == own
try:
    loss_by_component(placed[0], np.zeros(4, np.int32), names)
except PlanError as error:
    print(error)
print(own)
jax.distributed.shutdown()
"""


def started(program: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"JAX_PLATFORMS": "cpu"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_devices_add_up_under_jit_and_under_shard_map() -> None:
    run = started(DEVICES, XLA_FLAGS="--xla_force_host_platform_device_count=4")
    out, err = run.communicate(timeout=600)
    assert run.returncode == 0, err
    assert out == "4 devices {'web': 12, 'code': 20, 'books': 0}\n"


def test_processes_add_up_with_arrays_of_their_own_and_with_global_ones() -> None:
    port = str(free_ports(1)[0])
    ranks = [started(PROCESSES, str(rank), port) for rank in range(2)]
    said = [rank.communicate(timeout=600) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], said
    together = LossReport({"web": 6.0, "code": 850.0, "books": 0.0}, {"web": 4, "code": 12, "books": 0})
    for out, _ in said:
        refused, report = out.splitlines()[-2:]  # gloo says before that whom it has found
        assert refused.startswith("some of losses, component and mask are global arrays")
        assert report == str(together)
