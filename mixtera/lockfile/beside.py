"""The lock that lies beside a spec: found, and held against the plan that the spec compiles to."""

from __future__ import annotations

from typing import Final

from mixtera.artifact.model import PlanData
from mixtera.errors import LockError
from mixtera.lockfile.lock import Lock, read
from mixtera.lockfile.show import COPIED, show
from mixtera.lockfile.text import decode
from mixtera.spec.model import Spec

BESIDE: Final = "beside"
"""Stands for: the lock beside the spec, where there is one."""


def lock_path(spec_file: str) -> str:
    """Where the lock of a spec lies: its own path with `.lock` at the end."""
    return f"{spec_file}.lock"


def held(lock: Lock | str | None, spec: Spec) -> tuple[Lock | None, str]:
    """The lock that a spec is held against, and what messages call it.

    Args:
        lock: A lock, the path of one, BESIDE for the one beside the spec if there is one, or None for none.
        spec: The spec.

    Raises:
        LockError: It is not a lock, is damaged, or is of a newer version.
        StorageError: It cannot be read.
    """
    if not isinstance(lock, str):
        return lock, "its lock"
    if lock != BESIDE:
        return Lock.open(lock), lock
    path = lock_path(spec.file)
    found = read(path)
    return (None if found is None else Lock(decode(found, path))), path


def checked(lock: Lock, called: str, spec: Spec, data: PlanData, digest: str, *, whole: bool = True) -> None:
    """Hold a plan against a lock.

    Args:
        lock: What it should be.
        called: What messages call the lock.
        spec: The spec that was compiled.
        data: The plan's content.
        digest: The plan's digest.
        whole: Whether the plan must be that of the lock; if not, its files must be.

    Raises:
        LockError: It moved; the message says in what.
    """
    found = lock.difference(Lock.of(data, digest, spec.lines))
    if not (found.moved if whole else found.sources):
        return
    hint = f" {COPIED}." if found.only_times else ""
    raise LockError(
        f"{spec.file} does not compile to what {called} says:\n{show(found, called, spec.file)}\n"
        f"If that is meant, `mixtera lock {spec.file}` writes a new lock; `--no-lock` (`lock=None`) compiles without "
        f"one.{hint}",
        found.to_json(),
    )
