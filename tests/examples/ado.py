"""What the tests of the examples over examples/ado.yaml share."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from mixtera.jobs import Job
from tests.examples.conftest import EXAMPLES
from tests.examples.running import ENDED, finished

BATCH = 16


def torchrun(script: str, ranks: int, *arguments: str, warnings: str = "error") -> None:
    """Ranks of a script, by torchrun where they are several."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks), ENDED]
    program = [*(start if ranks > 1 else []), str(EXAMPLES / script), *arguments]
    finished([[sys.executable, *program]], OMP_NUM_THREADS="1", PYTHONWARNINGS=warnings)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def rows(job: Job, first: int, steps: int, parts: int = 1) -> list[list[str]]:
    """Digests of what each data rank has to train on, from the step `first` on, by what the job has decided."""
    with job.stream(BATCH // parts, start=(first - 1) * BATCH) as stream:
        tokens = [next(stream).column("tokens").flatten().to_numpy() for _ in range(parts * steps)]
    digests = [hashlib.sha256(each.tobytes()).hexdigest() for each in tokens]
    return [digests[number : number + parts] for number in range(0, len(digests), parts)]


def beginnings(job: Job, steps: int) -> list[list[int]]:
    """The first 8 tokens of each row of the first steps."""
    with job.stream(BATCH) as stream:
        tokens = [next(stream).column("tokens").flatten().to_numpy().reshape(BATCH, -1)[:, :8] for _ in range(steps)]
    return [row for each in tokens for row in each.tolist()]


def environment() -> dict[str, str]:
    return os.environ | {"JAX_PLATFORMS": "cpu"}
