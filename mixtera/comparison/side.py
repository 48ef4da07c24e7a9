"""A side of a comparison: a spec, a plan or a lock, brought to one form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mixtera.artifact.model import PlanData
from mixtera.lockfile import Lock
from mixtera.plan import Plan


@dataclass(frozen=True)
class Side:
    """What is compared.

    Attributes:
        label: What the user calls it.
        kind: What it is.
        lock: Its files, counts and digest.
        plan: Its plan; None for a lock, which knows how many samples there are, and not which.
    """

    label: str
    kind: Literal["spec", "plan", "lock"]
    lock: Lock
    plan: Plan | None

    @property
    def data(self) -> PlanData | None:
        """The content of its plan."""
        return None if self.plan is None else self.plan.data


def side_of_plan(label: str, plan: Plan, spec: tuple[str, ...] = ()) -> Side:
    """A plan; or a spec and its plan, when the lines of the spec are given."""
    return Side(label, "spec" if spec else "plan", Lock.of(plan.data, plan.digest, spec), plan)


def side_of_lock(label: str, lock: Lock) -> Side:
    """A lock."""
    return Side(label, "lock", lock, None)
