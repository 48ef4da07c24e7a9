"""The resume state of a stream: one number, and what it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mixtera.artifact.model import Beginning, PlanData
from mixtera.errors import PlanError, StateError

STATE_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class PlanIdentity:
    """What a state must agree with.

    Attributes:
        name: The plan's name.
        digest: Its digest.
        end: The position that ends it; None: it has no end.
        order_version: Version of its order.
        begins: Where it takes over from another plan, if it does.
    """

    name: str
    digest: str
    end: int | None
    order_version: int
    begins: Beginning | None = None

    @classmethod
    def of(cls, data: PlanData, digest: str) -> PlanIdentity:
        """What states of a plan are checked against."""
        return cls(data.name, digest, data.end, data.order_version, data.begins)

    @property
    def first(self) -> int:
        """The plan's first position."""
        return 0 if self.begins is None else self.begins.position

    def counted(self, start: int | None) -> int:
        """A position, counted from the plan's first; None is the first.

        Raises:
            PlanError: It lies before the first.
        """
        if start is None:
            return 0
        if self.begins is not None and start < self.first:
            raise PlanError(
                f"start is {start}, and plan {self.name!r} begins at position {self.first}, where it takes over from "
                f"{self.begins.name!r}; leave `start` out"
            )
        return start - self.first

    def state_at(self, position: int) -> dict[str, object]:
        """The state after `position` samples of the global order: JSON values only."""
        return {
            "version": STATE_VERSION,
            "position": position,
            "plan": self.digest,
            "name": self.name,
            "order": self.order_version,
        }

    def position_of(self, state: Mapping[str, object]) -> int:
        """The position that a state of this plan holds.

        Raises:
            StateError: It is not a state, or one of another plan.
        """
        version = _field(state, "version")
        if version != STATE_VERSION:
            raise StateError(f"the state has version {version!r}; this release reads version {STATE_VERSION}")
        position = _field(state, "position")
        if not self._is_handed_over(state, position):
            self._check_plan(state)
        return self._checked_position(position)

    def _is_handed_over(self, state: Mapping[str, object], position: object) -> bool:
        """Whether it is the state of the plan that this one continues, at the place where it does."""
        begins = self.begins
        if begins is None or _field(state, "plan") != begins.plan:  # its digest covers its order version
            return False
        if position != begins.position:
            raise StateError(
                f"the state stands at position {position} of plan {begins.name!r}, and {self.name!r} continues that "
                f"plan from position {begins.position}: compile it again with `--continue-from` this state"
            )
        return True

    def _check_plan(self, state: Mapping[str, object]) -> None:
        given = {
            "order version": (_field(state, "order"), self.order_version),
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
        if position < self.first or (self.end is not None and position > self.end):
            limit = f"at least {self.first}" if self.end is None else f"between {self.first} and {self.end}"
            raise StateError(f"the state's position is {position}; in plan {self.name!r} it must be {limit}")
        return position


def _field(state: Mapping[str, object], key: str) -> object:
    if not isinstance(state, Mapping):
        raise StateError(f"a {type(state).__name__} is not a state; pass what state_dict() returned")
    if key not in state:
        raise StateError(f"not a state of a Mixtera stream: it has no {key!r}; pass what state_dict() returned")
    return state[key]
