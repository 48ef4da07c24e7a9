"""The settings of a lock: order, tokens, what components deliver, and how weights follow the training."""

from __future__ import annotations

import json
from typing import Any, Final

from mixtera.artifact.model import PlanData
from mixtera.lockfile.model import LockBody, LockedColumns, LockedDelivery, Scalar
from mixtera.lockfile.tokens import is_of_tokens, settings_of

SECTIONS: Final = {
    "order and length": "Order and length",
    "tokens": "Tokens",
    "delivery": "Delivery",
    "dynamic": "Weights that follow the training",
}
"""What settings are of, in the order in which they are shown, and what titles call it."""

_GROUP: Final = "stream.group"
_OF: Final = "deliver of "
"""What stands before the name of a component."""
_TOKENS: Final = "tokens"
"""What a component delivers that does not say."""
_DYNAMIC: Final = "dynamic"


def delivery_of(data: PlanData) -> LockedDelivery | None:
    """What the lock of a plan says of its delivery; None where all components deliver the same."""
    found = data.delivery
    if found is None:
        return None
    pairs = zip(data.components, found.columns, strict=True)
    return LockedDelivery(found.group, tuple(LockedColumns(one.name, columns) for one, columns in pairs if columns))


def settings(before: LockBody, after: LockBody) -> tuple[dict[str, Scalar], dict[str, Scalar]]:
    """The settings that two locks are compared by, by name.

    Delivery and weights that follow the training are parts of a plan's digest: where it is the same, so are they. So a
    lock that was written before locks said them still holds.
    """
    both = before, after
    found: list[dict[str, Scalar]] = [{**_order(body), **settings_of(body.tokens)} for body in both]
    if before.plan != after.plan:
        mixed = any(body.delivery is not None for body in both)
        for body, into in zip(both, found, strict=True):
            into |= {**(_delivery(body) if mixed else {}), **_dynamic(body)}
    return found[0], found[1]


def section_of(name: str) -> str:
    """Which of SECTIONS a setting belongs to."""
    if name == _GROUP or name.startswith(_OF):
        return "delivery"
    if name == _DYNAMIC or name.startswith(f"{_DYNAMIC}."):
        return "dynamic"
    return "tokens" if is_of_tokens(name) else "order and length"


def _order(body: LockBody) -> dict[str, Scalar]:
    order = body.order
    return {
        "order version": body.order_version,
        "positions": body.positions,
        "samples": body.samples,
        "seed": order.seed,
        "shuffle": order.shuffle,
        "chunk_size": order.chunk_size,
        "lanes": order.lanes,
        "granule": order.granule,
        "window_segments": order.window_segments,
    }


def _delivery(body: LockBody) -> dict[str, Scalar]:
    """By component, so that one that delivers something else now is named."""
    if body.tokens is None:
        return {}
    columns = {} if body.delivery is None else {one.name: one.columns for one in body.delivery.columns}
    found: dict[str, Scalar] = {
        f"{_OF}{one.name}": ", ".join(columns.get(one.name, ())) or _TOKENS for one in body.components
    }
    return found if body.delivery is None else found | {_GROUP: body.delivery.group}


def _dynamic(body: LockBody) -> dict[str, Scalar]:
    found = body.dynamic
    if found is None:
        return {}
    options = {f"{_DYNAMIC}.options.{name}": _scalar(value) for name, value in found.options.items()}
    values: dict[str, Scalar] = {
        f"{_DYNAMIC}.{name}": getattr(found, name) for name in ("floor", "ceiling", "every", "lag")
    }
    return {_DYNAMIC: found.algorithm, **values, f"{_DYNAMIC}.budget": found.limit, **options}


def _scalar(value: Any) -> Scalar:  # noqa: ANN401 - what YAML can say
    """An option as one value: what is nested, and what is true or false, as JSON."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
