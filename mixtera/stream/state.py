"""The resume state of a stream: one number, and what it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mixtera.artifact.model import ORDER_VERSION
from mixtera.errors import StateError

STATE_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class PlanIdentity:
    """What a state must agree with: the plan's name, its digest, and how many positions it has (None: no end)."""

    name: str
    digest: str
    total: int | None

    def state_at(self, position: int) -> dict[str, object]:
        """The state after `position` samples of the global order: JSON values only."""
        return {
            "version": STATE_VERSION,
            "position": position,
            "plan": self.digest,
            "name": self.name,
            "order": ORDER_VERSION,
        }

    def position_of(self, state: Mapping[str, object]) -> int:
        """The position that a state of this plan holds.

        Raises:
            StateError: It is not a state, or one of another plan.
        """
        version = _field(state, "version")
        if version != STATE_VERSION:
            raise StateError(f"the state has version {version!r}; this release reads version {STATE_VERSION}")
        self._check_plan(state)
        return self._checked_position(_field(state, "position"))

    def _check_plan(self, state: Mapping[str, object]) -> None:
        given = {
            "order version": (_field(state, "order"), ORDER_VERSION),
            "plan digest": (_field(state, "plan"), self.digest),
        }
        changed = [f"{what}: {old} in the state, {new} here" for what, (old, new) in given.items() if old != new]
        if changed:
            raise StateError(
                f"the state belongs to another plan ({state.get('name', 'unnamed')!r}; this one is {self.name!r}): "
                f"{'; '.join(changed)}. Resume with the plan that the run was started with"
            )

    def _checked_position(self, position: object) -> int:
        if isinstance(position, bool) or not isinstance(position, int):
            raise StateError(f"the state's position is {position!r}; it must be a whole number")
        if position < 0 or (self.total is not None and position > self.total):
            limit = "at least 0" if self.total is None else f"between 0 and {self.total}"
            raise StateError(f"the state's position is {position}; in plan {self.name!r} it must be {limit}")
        return position


def _field(state: Mapping[str, object], key: str) -> object:
    if not isinstance(state, Mapping):
        raise StateError(f"a {type(state).__name__} is not a state; pass what state_dict() returned")
    if key not in state:
        raise StateError(f"not a state of a Mixtera stream: it has no {key!r}; pass what state_dict() returned")
    return state[key]
