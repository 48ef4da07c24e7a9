"""What a section of a spec is made of: the words in which `mixtera.spec.keys` describes them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

JsonSchema: TypeAlias = Mapping[str, object]

TEXT: Final[JsonSchema] = {"type": "string", "minLength": 1}
TEXTS: Final[JsonSchema] = {"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section.

    Attributes:
        name: The key.
        schema: JSON Schema of its value.
        meaning: What it says, in one sentence.
        required: Whether it must be there.
        later: A key that is defined, but that this version does not support: always one clear issue.
    """

    name: str
    schema: JsonSchema
    meaning: str
    required: bool = False
    later: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with fixed keys.

    Attributes:
        name: What messages call it.
        keys: Its keys.
        elsewhere: Keys that are none of its own and likely to be tried: what to write instead.
    """

    name: str
    keys: tuple[Key, ...]
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    @property
    def allowed(self) -> tuple[str, ...]:
        """Keys that this version accepts, in the order of the reference."""
        return tuple(key.name for key in self.keys if not key.later)

    @property
    def required(self) -> tuple[str, ...]:
        """Keys that must be there."""
        return tuple(key.name for key in self.keys if key.required)

    @property
    def later(self) -> tuple[str, ...]:
        """Keys that are defined but not supported by this version."""
        return tuple(key.name for key in self.keys if key.later)


def reference(name: str) -> JsonSchema:
    """A reference to one of the schema's definitions."""
    return {"$ref": f"#/$defs/{name}"}
