"""A job in the Hugging Face Trainer: batches, losses by component, checkpoints, in a subclass and a callback.

::

    python examples/huggingface.py plans/ado --steps 20
    torchrun --standalone --nproc-per-node 2 examples/huggingface.py plans/ado --steps 40 --resume
"""

from __future__ import annotations

import argparse
import gc
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn  # before a group begins: see torch_pretraining.py
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

import mixtera
from mixtera.adapters.torch import loader
from mixtera.adapters.torch.losses import component_sums, report
from mixtera.adapters.torch.masks import document_mask

STATE = "mixtera.json"


class Batches:
    """What the model gets of a batch. It has no length: a Trainer then needs `max_steps`."""

    def __init__(self, job: mixtera.Job, rows: int) -> None:
        self._batches = loader(job, batch_size=rows)  # rank and number of ranks come from torch.distributed

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for batch in self._batches:
            yield {
                "input_ids": batch["tokens"][:, :-1].long(),
                "labels": batch["tokens"][:, 1:].long(),
                "loss_mask": batch["loss_mask"],
                "position_ids": batch["position_ids"].long(),
                "attention_mask": document_mask(batch["document_ids"]),
                "component_id": batch["component_id"],
            }


class JobTrainer(Trainer):
    """A Trainer that reads a job and counts losses by component."""

    def __init__(self, job: mixtera.Job, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.job = job
        self.sums: Tensor | float = 0.0
        self.seen: list[list[int]] = []
        self.model_accepts_loss_kwargs = (
            False  # what compute_loss returns is a mean: the Trainer divides by micro-batches
        )
        self.add_callback(Telling(self))

    def get_train_dataloader(self) -> Batches:
        """The rows of this rank; Accelerate does not split them any more."""
        return Batches(self.job, self.args.per_device_train_batch_size)

    def compute_loss(self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, **_: Any) -> Any:
        """The mean over tokens; beside it, the losses of the micro-batch by component."""
        labels, mask, ids = (inputs.pop(name) for name in ("labels", "loss_mask", "component_id"))
        self.seen += inputs["input_ids"][:, :8].tolist()
        outputs = model(**inputs)
        losses = functional.cross_entropy(outputs.logits.flatten(0, 1), labels.flatten(), reduction="none")
        losses = losses.view_as(labels)
        self.sums = self.sums + component_sums(losses, ids, len(self.job.components), mask)
        loss = (losses * mask).sum() / mask.sum()
        return (loss, outputs) if return_outputs else loss


class Telling(TrainerCallback):
    """Tells the job of each step, and keeps its state beside each checkpoint."""

    def __init__(self, trainer: JobTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """After the micro-batches of a step."""
        report(self._trainer.job, state.global_step, self._trainer.sums)
        self._trainer.sums = 0.0

    def on_save(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """A Trainer takes no batch before it needs it: the loader's position is that of the model."""
        if state.is_world_process_zero:
            directory = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            (directory / STATE).write_text(json.dumps(self._trainer.job.checkpoint()), encoding="utf-8")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train a small Llama with the Hugging Face Trainer.")
    parser.add_argument("plan", help="directory that `mixtera compile` has written")
    parser.add_argument("--job", default="jobs/huggingface", help="directory of the job")
    parser.add_argument("--steps", type=int, default=20, help="last step, counted from the start of the run")
    parser.add_argument("--batch", type=int, default=16, help="rows of a step over all ranks")
    parser.add_argument("--checkpoint", default="checkpoints/huggingface", help="directory")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--seen", type=Path, help="file for how each row began; {rank} in it is replaced")
    return parser.parse_args()


def train(arguments: argparse.Namespace) -> None:
    """Train to the last step."""
    torch.set_num_threads(1)
    last = get_last_checkpoint(arguments.checkpoint) if arguments.resume else None
    if last is None:
        job = mixtera.Job.local(mixtera.Plan.open(arguments.plan), arguments.job)
    else:
        job = mixtera.Job.resume(json.loads((Path(last) / STATE).read_text(encoding="utf-8")))
    settings = TrainingArguments(
        output_dir=arguments.checkpoint,
        max_steps=arguments.steps,
        save_steps=arguments.steps,
        ignore_data_skip=True,  # the job knows where the data go on
        learning_rate=3e-3,
        logging_steps=10,
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        ddp_find_unused_parameters=False,
        ddp_backend="gloo" if "WORLD_SIZE" in os.environ else None,
        dataloader_pin_memory=False,
    )
    ranks = settings.world_size
    settings.per_device_train_batch_size = arguments.batch // ranks // 2
    settings.gradient_accumulation_steps = 2
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=job.plan.tokens.vocab_size,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            attn_implementation="sdpa",
        )
    )
    trainer = JobTrainer(job, model=model, args=settings)
    trainer.train(resume_from_checkpoint=last)
    if arguments.seen:
        name = str(arguments.seen).replace("{rank}", str(settings.process_index))
        Path(name).write_text(json.dumps(trainer.seen), encoding="utf-8")
    if settings.process_index == 0:
        print({name: round(weight, 3) for name, weight in job.weights.items()})
    job.close()


def main() -> None:
    """Train; of torchrun's ranks, if it has started this. How they end: see torch_pretraining.py."""
    train(parsed())
    gc.collect()  # a Trainer and its parts know each other
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
