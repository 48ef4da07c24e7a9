"""Train a small GPT with JAX on a mixture that follows its losses: stop, and go on with another number of processes.

::

    python examples/ado_corpus.py ado-corpus
    mixtera index examples/ado.yaml
    mixtera compile examples/ado.yaml -o plans/ado
    python examples/jax_ado.py plans/ado --steps 300 --processes 2 --process 0 &
    python examples/jax_ado.py plans/ado --steps 300 --processes 2 --process 1
    python examples/jax_ado.py plans/ado --steps 600 --resume

The model, its optimizer and the checkpoints are those of `jax_pretraining.py`. What is new are the lines with `job`.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

import jax
import numpy as np
from jax.experimental.multihost_utils import sync_global_devices
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax_pretraining import USED, append, batch_digest, initial, restored, save, train_step

import mixtera
from mixtera.adapters.jax import MixteraLoader
from mixtera.adapters.jax.losses import LossReport, report

PRINT_EVERY = 20


def settle(job: mixtera.Job) -> None:
    """Wait for the fit that is under way: not needed, but a run that does so can be repeated exactly."""
    while job.status()["fit"] is not None:
        time.sleep(0.02)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train a small GPT on a mixture that follows its losses.")
    parser.add_argument("plan", help="directory that `mixtera compile` has written")
    parser.add_argument("--job", default="jobs/jax-ado", help="directory of the job")
    parser.add_argument("--steps", type=int, default=300, help="last step, counted from the start of the run")
    parser.add_argument("--batch", type=int, default=16, help="rows of a step over all processes")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/jax-ado"), help="directory")
    parser.add_argument("--save-every", type=int, default=100, help="steps; the last one is saved as well")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--losses", type=Path, help="file that gets a line of JSON for each step")
    parser.add_argument("--settle", action="store_true", help="wait for fits")
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
    first = jax.process_index() == 0
    if first and not arguments.resume and Path(arguments.job).exists():
        sys.exit(f"{arguments.job} is a job already: --resume it, or name another --job")
    sync_global_devices("the job may be made")

    plan = mixtera.Plan.open(arguments.plan)
    state = initial(plan.tokens.vocab_size, plan.tokens.sequence_length)
    path = arguments.checkpoint / "last.npz"
    if arguments.resume:
        state, data = restored(path, state)
        job = mixtera.Job.resume(data)  # whatever the number of processes was
    else:
        job = mixtera.Job.local(plan, arguments.job)  # the first process here makes it
    batches = iter(MixteraLoader(job, batch_size=arguments.batch // jax.process_count(), sharding=rows))
    done = int(state["count"])
    state = jax.device_put(state, whole)
    step_of = jax.jit(partial(train_step, components=len(job.components)), out_shardings=whole, donate_argnums=0)

    recent: LossReport | None = None
    for step, batch in zip(range(done + 1, arguments.steps + 1), batches, strict=False):
        state, sums = step_of(state, {name: batch[name] for name in USED})
        found = report(job, step, *sums)  # the sums are those of all devices; the first process tells the job
        recent = found if recent is None else recent + found
        if first and arguments.settle:
            settle(job)
        if step % PRINT_EVERY == 0:
            if first:
                weights = job.weights
                parts = (f"{name} {loss:.2f} at {weights[name]:4.0%}" for name, loss in recent.mean.items())
                print(f"step {step:4}  " + "  ".join(parts), flush=True)
            recent = None
        digest = batch_digest(batch["tokens"])  # every process takes part, whether it writes or not
        if first and arguments.losses:
            line = {"step": step, "ranks": jax.process_count(), "batch": digest, "loss": found.loss}
            append(arguments.losses, line | asdict(found) | {"weights": job.weights})
        if first and (step % arguments.save_every == 0 or step == arguments.steps):
            save(path, state, job.checkpoint())
    batches.close()
    job.close()


if __name__ == "__main__":
    main()
