"""A job in JAX trainers: a Grain data set, MaxText's batches, and an Orbax checkpoint of model and data.

::

    python examples/grain_orbax.py plans/ado --steps 20
    python examples/grain_orbax.py plans/ado --steps 40 --resume
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax_pretraining import USED, initial, train_step

import mixtera
from mixtera.adapters.jax import BatchIterator, MixteraLoader
from mixtera.adapters.jax.losses import report
from mixtera.adapters.jax.masks import segment_ids


class JobDataset(grain.IterDataset):
    """A job as a source of Grain: what `map` and other transformations are put on."""

    def __init__(self, batches: MixteraLoader) -> None:
        super().__init__()
        self._batches = batches

    def __iter__(self) -> JobIterator:
        return JobIterator(iter(self._batches))


class JobIterator(grain.DatasetIterator):
    """Its state is that of the job's loader: a few numbers, from which any number of processes goes on."""

    def __init__(self, batches: BatchIterator) -> None:
        super().__init__()
        self._batches = batches

    def __next__(self) -> dict[str, Any]:
        return next(self._batches)

    def get_state(self) -> dict[str, Any]:
        """After the last batch that was taken."""
        return self._batches.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on there."""
        self._batches.set_state(state)


def maxtext(batch: dict[str, Any]) -> dict[str, Any]:
    """The columns that MaxText trains on, beside our own. Targets whose segment is 0 do not count."""
    segments = segment_ids(batch["document_ids"])
    return batch | {
        "inputs": batch["tokens"][:, :-1],
        "inputs_position": batch["position_ids"],
        "inputs_segmentation": segments,
        "targets": batch["tokens"][:, 1:],
        "targets_position": batch["position_ids"],
        "targets_segmentation": jnp.where(batch["loss_mask"], segments, 0),
    }


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train a small GPT with Grain and Orbax.")
    parser.add_argument("plan", help="directory that `mixtera compile` has written")
    parser.add_argument("--job", default="jobs/grain", help="directory of the job")
    parser.add_argument("--steps", type=int, default=20, help="last step, counted from the start of the run")
    parser.add_argument("--batch", type=int, default=16, help="rows of a step")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/grain"), help="directory")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--seen", type=Path, help="file for how each row began")
    return parser.parse_args()


def main() -> None:
    """Train."""
    arguments = parsed()
    rows = NamedSharding(Mesh(np.array(jax.devices()), ("data",)), PartitionSpec("data"))
    job = mixtera.Job.local(mixtera.Plan.open(arguments.plan), arguments.job)
    source = MixteraLoader(job, arguments.batch // jax.process_count(), sharding=rows)
    batches = iter(JobDataset(source).map(maxtext))
    state = initial(job.plan.tokens.vocab_size, job.plan.tokens.sequence_length)
    manager = ocp.CheckpointManager(arguments.checkpoint.absolute())
    if arguments.resume:
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
        kept = manager.restore(
            manager.latest_step(),
            args=ocp.args.Composite(model=ocp.args.StandardRestore(shapes), data=ocp.args.JsonRestore()),
        )
        state = kept["model"]
        batches.set_state(kept["data"])
    step_of = jax.jit(partial(train_step, components=len(job.components)))
    done, seen = int(state["count"]), []
    for step in range(done + 1, arguments.steps + 1):
        batch = next(batches)
        state, sums = step_of(state, {name: batch[name] for name in USED})
        report(job, step, *sums)
        assert not (batch["targets_segmentation"] * ~batch["loss_mask"]).any()
        seen += batch["inputs"][:, :8].tolist()
    job.checkpoint()  # the job notes that one is kept here
    manager.save(
        arguments.steps,
        args=ocp.args.Composite(model=ocp.args.StandardSave(state), data=ocp.args.JsonSave(batches.get_state())),
    )
    manager.close()
    if arguments.seen:
        arguments.seen.write_text(json.dumps(seen), encoding="utf-8")
    print({name: round(weight, 3) for name, weight in job.weights.items()})
    job.close()


if __name__ == "__main__":
    main()
