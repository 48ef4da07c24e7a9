"""The JAX adapter's tests run in a process of their own: whoever forks after JAX was used may hang."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CASES = (
    "tests/adapters/jax_cases.py",
    "tests/adapters/jax_token_cases.py",
    "tests/adapters/jax_job_cases.py",
    "tests/adapters/jax_group_cases.py",
)


def test_jax_in_its_own_process() -> None:
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            *CASES,
        ],
        cwd=root,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=3600,  # of all of them together
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
