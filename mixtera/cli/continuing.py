"""Where a run stands that a new plan takes over from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mixtera.errors import PlanError, StateError

if TYPE_CHECKING:
    from mixtera.compiler import Stop
    from mixtera.plan import Plan

_MOST_BYTES: Final = 1 << 20
"""Bytes of a state at most; a real one has some hundred."""


def stop_of(state: str | None, plan: str | None, output: str) -> Stop | None:
    """The plan and the position that `--continue-from` names; None where it is not given.

    Args:
        state: PLAN@POSITION, or a JSON file that holds a state.
        plan: Directory of the plan that the state belongs to; None: it is looked for.
        output: Where the new plan will lie: the old one is looked for there and beside it.

    Raises:
        StateError: It is not a state, or one of another plan.
        PlanError: The plan cannot be opened or found.
    """
    if state is None:
        if plan is not None:
            raise StateError("--continued names the plan of a state: give the state with --continue-from")
        return None
    from mixtera.compiler import Stop
    from mixtera.plan import Plan

    directory, at, position = state.rpartition("@")
    if at and position.isascii() and position.isdigit() and not Path(state).exists():
        opened = Plan.open(directory)
        return Stop.of(opened, opened.state_at(int(position)))
    found = _read(state)
    if plan is None and "://" in output:
        plan = output
    opened = Plan.open(plan) if plan is not None else _plan_of(found, Path(output))
    return Stop.of(opened, found)


def _read(path: str) -> Mapping[str, object]:
    try:
        with Path(path).open("rb") as file:
            found = json.loads(file.read(_MOST_BYTES))
    except FileNotFoundError:
        raise StateError(
            f"--continue-from {path}: no such file; give a JSON file with what state_dict() returned, or PLAN@POSITION"
        ) from None
    except (OSError, ValueError) as error:
        raise StateError(f"--continue-from {path}: not a JSON file with a state: {error}") from error
    if not isinstance(found, dict):
        raise StateError(f"--continue-from {path}: a state is a JSON object, as state_dict() returns it")
    return found


def _plan_of(state: Mapping[str, object], output: Path) -> Plan:
    """The plan of a state, at the output or beside it.

    Raises:
        PlanError: There is none.
    """
    from mixtera.plan import Plan

    digest = state.get("plan")
    for directory in _candidates(output):
        try:
            opened = Plan.open(str(directory))
        except PlanError:
            continue
        if opened.digest == digest:
            return opened
    raise PlanError(
        f"the plan {digest} of the state ({state.get('name', 'unnamed')!r}) is neither at {output} nor beside it; say "
        "where it is with --continued PLAN"
    )


def _candidates(output: Path) -> Iterator[Path]:
    if output.is_dir():
        yield output
    beside = output.absolute().parent
    if beside.is_dir():
        yield from sorted(path.parent for path in beside.glob("*/plan.json"))
