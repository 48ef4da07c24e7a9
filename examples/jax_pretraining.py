"""Train a small GPT with JAX on raw text: stop, and go on with another number of processes.

::

    mixtera demo                                            # makes the corpus, once
    mixtera index examples/pretraining.yaml
    mixtera compile examples/pretraining.yaml -o plans/pretraining
    python examples/jax_pretraining.py plans/pretraining --steps 100 --processes 2 --process 0 &
    python examples/jax_pretraining.py plans/pretraining --steps 100 --processes 2 --process 1
    python examples/jax_pretraining.py plans/pretraining --steps 200 --resume

The batch of a step is the same whatever the number of processes, and so is the loss but for rounding. The model and its
optimizer are written out, so that the example needs nothing but JAX.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import mixtera
from mixtera.adapters.jax import MixteraLoader
from mixtera.adapters.jax.losses import LossReport, component_sums, loss_report
from mixtera.adapters.jax.masks import document_mask

WIDTH, HEADS, BLOCKS = 64, 4, 2
PRINT_EVERY = 20
USED = ("tokens", "document_ids", "position_ids", "loss_mask", "component_id")


def initial(vocabulary: int, length: int) -> dict:
    """Parameters, and the moments and the count of Adam."""
    keys = iter(jax.random.split(jax.random.key(0), 3 + 4 * BLOCKS))

    def weights(*shape: int) -> jax.Array:
        return 0.02 * jax.random.normal(next(keys), shape)

    def block() -> dict:
        return {
            "query_key_value": weights(WIDTH, 3 * WIDTH),
            "out": weights(WIDTH, WIDTH),
            "up": weights(WIDTH, 4 * WIDTH),
            "down": weights(4 * WIDTH, WIDTH),
            "scales": jnp.ones((2, WIDTH)),
        }

    parameters = {
        "token": weights(vocabulary, WIDTH),
        "position": weights(length, WIDTH),
        "blocks": [block() for _ in range(BLOCKS)],
        "scale": jnp.ones(WIDTH),
        "head": weights(WIDTH, vocabulary),
    }
    first, second = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
    return {"parameters": parameters, "first": first, "second": second, "count": jnp.zeros((), jnp.int32)}


def normed(x: jax.Array, scale: jax.Array) -> jax.Array:
    """RMS norm."""
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-6) * scale


def model(parameters: dict, tokens: jax.Array, document_ids: jax.Array, position_ids: jax.Array) -> jax.Array:
    """[B, T] each → logits [B, T, vocabulary]. Attention stays inside documents, positions begin anew in each."""
    x, mask = parameters["token"][tokens] + parameters["position"][position_ids], document_mask(document_ids)
    for block in parameters["blocks"]:
        split = (normed(x, block["scales"][0]) @ block["query_key_value"]).reshape(*x.shape[:2], 3, HEADS, -1)
        seen = jax.nn.dot_product_attention(split[:, :, 0], split[:, :, 1], split[:, :, 2], mask=mask)
        x = x + seen.reshape(x.shape) @ block["out"]
        x = x + jax.nn.gelu(normed(x, block["scales"][1]) @ block["up"]) @ block["down"]
    return normed(x, parameters["scale"]) @ parameters["head"]


def mean_loss(parameters: dict, batch: dict) -> tuple[jax.Array, jax.Array]:
    """The loss of the whole batch, over all devices, and that of each token."""
    inputs, labels = batch["tokens"][:, :-1], batch["tokens"][:, 1:]
    logits = model(parameters, inputs, batch["document_ids"], batch["position_ids"])
    losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1)[..., 0]
    mask = batch["loss_mask"]  # false where the label already belongs to the next document
    return jnp.where(mask, losses, 0).sum() / mask.sum(), losses


def train_step(state: dict, batch: dict, components: int) -> tuple[dict, tuple[jax.Array, jax.Array]]:
    """One step of Adam on the whole batch; beside it sums and counts of the losses by component."""
    (_, losses), gradients = jax.value_and_grad(mean_loss, has_aux=True)(state["parameters"], batch)
    count = state["count"] + 1
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state["first"], gradients)
    second = jax.tree.map(lambda v, g: 0.99 * v + 0.01 * g * g, state["second"], gradients)
    rate = 3e-3 * jnp.sqrt(1 - 0.99**count) / (1 - 0.9**count)
    parameters = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), state["parameters"], first, second)
    sums = component_sums(losses, batch["component_id"], components, batch["loss_mask"])
    return {"parameters": parameters, "first": first, "second": second, "count": count}, sums


def batch_digest(tokens: jax.Array) -> str:
    """A digest of the tokens of all processes: what the step has trained on."""
    return hashlib.sha256(np.asarray(process_allgather(tokens, tiled=True)).tobytes()).hexdigest()


def save(path: Path, state: dict, data: dict) -> None:
    """Write a checkpoint: whoever reads it, whenever, finds a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    arrays = {str(number): np.asarray(leaf) for number, leaf in enumerate(jax.tree.leaves(state))}
    with unfinished.open("wb") as file:
        np.savez(file, data=json.dumps(data), **arrays)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def restored(path: Path, state: dict) -> tuple[dict, dict]:
    """The state in the form of `state`, and that of the data."""
    with np.load(path) as saved:
        leaves = [saved[str(number)] for number in range(len(jax.tree.leaves(state)))]
        return jax.tree.unflatten(jax.tree.structure(state), leaves), json.loads(str(saved["data"]))


def append(path: Path, line: dict) -> None:
    """Add a line of JSON to a file."""
    with path.open("a", encoding="utf-8") as file:
        print(json.dumps(line), file=file)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train a small GPT on a plan of tokens.")
    parser.add_argument("plan", help="directory that `mixtera compile` has written")
    parser.add_argument("--steps", type=int, default=100, help="last step, counted from the start of the run")
    parser.add_argument("--batch", type=int, default=8, help="rows of a step over all processes")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/jax"), help="directory")
    parser.add_argument("--save-every", type=int, default=50, help="steps; the last one is saved as well")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--losses", type=Path, help="file that gets a line of JSON for each step")
    parser.add_argument("--processes", type=int, default=1, help="how many processes train")
    parser.add_argument("--process", type=int, default=0, help="which of them this is, from 0")
    parser.add_argument("--coordinator", default="127.0.0.1:12321", help="host and port of process 0")
    return parser.parse_args()


def main() -> None:
    """Train."""
    arguments = parsed()
    if arguments.processes > 1:
        jax.distributed.initialize(arguments.coordinator, arguments.processes, arguments.process)
    if arguments.batch % jax.device_count():
        sys.exit(f"--batch {arguments.batch} cannot be divided by {jax.device_count()} devices")
    mesh = Mesh(np.array(jax.devices()), ("data",))
    rows, whole = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())

    plan = mixtera.Plan.open(arguments.plan)
    names = plan.components
    batches = iter(MixteraLoader(plan, batch_size=arguments.batch // jax.process_count(), sharding=rows))
    state = initial(plan.tokens.vocab_size, plan.tokens.sequence_length)
    path = arguments.checkpoint / "last.npz"
    if arguments.resume:
        if not path.exists():
            sys.exit(f"{path} does not exist: nothing to --resume from")
        state, data = restored(path, state)
        batches.set_state(data)  # whatever the number of processes was
    done = int(state["count"])
    state = jax.device_put(state, whole)
    step_of = jax.jit(partial(train_step, components=len(names)), out_shardings=whole, donate_argnums=0)

    first = jax.process_index() == 0
    recent: LossReport | None = None  # reports add up: losses are printed as means of several steps
    for step, batch in zip(range(done + 1, arguments.steps + 1), batches, strict=False):
        state, sums = step_of(state, {name: batch[name] for name in USED})
        report = loss_report(names, *sums)
        recent = report if recent is None else recent + report
        if step % PRINT_EVERY == 0:
            if first:
                parts = "  ".join(f"{name} {value:.3f}" for name, value in recent.mean.items())
                print(f"step {step:4}  {parts}", flush=True)
            recent = None
        digest = batch_digest(batch["tokens"])  # every process takes part, whether it writes or not
        if first and arguments.losses:
            line = {"step": step, "ranks": jax.process_count(), "batch": digest, "loss": report.loss}
            append(arguments.losses, line | asdict(report))
        if first and (step % arguments.save_every == 0 or step == arguments.steps):
            save(path, state, batches.get_state())
    batches.close()


if __name__ == "__main__":
    main()
