"""The lock that lies beside a spec: found, and held against the plan that the spec compiles to."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from mixtera.artifact.model import PlanData
from mixtera.errors import LockError
from mixtera.lockfile.lock import Lock, read
from mixtera.lockfile.show import COPIED, show
from mixtera.lockfile.text import decode
from mixtera.spec.model import Spec

Beside: TypeAlias = Literal["beside"]
BESIDE: Final[Beside] = "beside"
"""Stands for: the lock beside the spec, where there is one."""


def lock_path(spec_file: str) -> str:
    """Where the lock of a spec lies: its own path with `.lock` at the end."""
    return f"{spec_file}.lock"


def locked(spec: Spec) -> Lock | None:
    """The lock beside a spec; None where there is none.

    Raises:
        LockError: It is not a lock, is damaged, or is of a newer version.
        StorageError: It cannot be read.
    """
    path = lock_path(spec.file)
    found = read(path)
    return None if found is None else Lock(decode(found, path))


def checked(lock: Lock, spec: Spec, data: PlanData, digest: str, name: str | None = None) -> None:
    """Hold a plan against a lock.

    Args:
        lock: What it should be.
        spec: The spec that was compiled.
        data: The plan's content.
        digest: The plan's digest.
        name: What messages call the lock; by default the name of the file beside the spec.

    Raises:
        LockError: It moved; the message says in what.
    """
    found = lock.difference(Lock.of(data, digest, spec.lines))
    if not found.moved:
        return
    called = name or lock_path(spec.file)
    hint = f" {COPIED}." if found.only_times else ""
    raise LockError(
        f"{spec.file} does not compile to what {called} says:\n{show(found, called, spec.file)}\n"
        f"If that is meant, `mixtera lock {spec.file}` writes a new lock; `--no-lock` (`lock=None`) compiles without "
        f"one.{hint}",
        found.to_json(),
    )
