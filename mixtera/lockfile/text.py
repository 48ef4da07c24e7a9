"""A lock as text and back: JSON in one form only, keys sorted, one file, component or line of the spec a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final, TypeAlias

import msgspec

from mixtera.errors import LockError
from mixtera.lockfile.model import LOCK_VERSION, LockBody

Json: TypeAlias = "bool | int | float | str | list[Json] | tuple[Json, ...] | dict[str, Json] | None"

KEY: Final = "mixtera_lock"
_HEAD: Final = re.compile(rb'\s*\{\s*"mixtera_lock"\s*:')
_WHERE_ANY: Final = ("tokens", "delivery", "dynamic")
"""What is written of plans that have it."""
HEAD_BYTES: Final = 256
"""The beginning of a file that tells whether it is a lock."""


class _Version(msgspec.Struct, frozen=True):
    mixtera_lock: int


def is_lock(beginning: bytes) -> bool:
    """Whether a file that begins so is a lock, whole or damaged."""
    return _HEAD.match(beginning) is not None


def encode(body: LockBody) -> bytes:
    """The text of a lock, in UTF-8; the same for the same body."""
    said = {name: value for name, value in asdict(body).items() if name not in _WHERE_ANY or value is not None}
    for file in (file for source in said["sources"] for file in source["files"]):
        if file["beside"] is None:
            del file["beside"]
    values = {KEY: LOCK_VERSION, **dict(sorted(said.items()))}
    return ("\n".join(_lines(values, "")) + "\n").encode()


def decode(content: bytes, name: str) -> LockBody:
    """Read the text of a lock.

    Args:
        content: The text.
        name: What messages call it.

    Raises:
        LockError: It is not a lock, is damaged, or is of a newer version.
    """
    if not is_lock(content[:HEAD_BYTES]):
        raise LockError(f"{name} is not a lock; `mixtera lock SPEC` writes one")
    try:
        version = msgspec.json.decode(content, type=_Version).mixtera_lock
        if version > LOCK_VERSION:
            raise LockError(
                f"{name} was written by a newer Mixtera (lock version {version}, this one reads up to {LOCK_VERSION}): "
                "upgrade Mixtera, or write it again with `mixtera lock SPEC`"
            )
        return msgspec.json.decode(content, type=LockBody)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LockError(
            f"the lock {name} is damaged: {error}; take it from version control again, or write it anew with "
            "`mixtera lock SPEC`"
        ) from error


def _lines(value: Json, indent: str) -> Iterator[str]:
    """Lists, and mappings that hold lists or mappings of such, are opened; all else is one line."""
    match value:
        case dict() if indent == "" or any(isinstance(inner, list | tuple | dict) for inner in value.values()):
            yield "{"
            yield from _items([(f"{_short(key)}: ", inner) for key, inner in value.items()], indent)
            yield f"{indent}}}"
        case list() | tuple() if value:
            yield "["
            yield from _items([("", inner) for inner in value], indent)
            yield f"{indent}]"
        case _:
            yield _short(value)


def _items(items: list[tuple[str, Json]], indent: str) -> Iterator[str]:
    inside = f"{indent} "
    for number, (key, value) in enumerate(items):
        below = list(_lines(_ordered(value), inside))
        below[0] = f"{inside}{key}{below[0]}"
        if number < len(items) - 1:
            below[-1] += ","
        yield from below


def _ordered(value: Json) -> Json:
    return dict(sorted(value.items())) if isinstance(value, dict) else value


def _short(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
