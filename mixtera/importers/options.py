"""What the caller of an import decides, and what this installation can read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mixtera import registry


@dataclass(frozen=True, slots=True)
class Installed:
    """Formats and URL schemes that can be read here."""

    formats: Collection[str]
    schemes: Collection[str]

    @classmethod
    def here(cls) -> Installed:
        """What is installed."""
        return cls(registry.names("formats"), registry.schemes())


@dataclass(frozen=True, slots=True)
class Options:
    """How to import.

    Attributes:
        split: The part of the input to import: `train`, `val`, …
        configs: Names of the configurations of a dataset card to import; empty: the default one, or all.
        content: The field that training reads, where the input does not say.
        folder: The folder in which the spec will be: relative paths are written relative to it.
        installed: What this installation can read.
    """

    split: str
    configs: tuple[str, ...]
    content: str | None
    folder: str
    installed: Installed

    @property
    def field(self) -> str:
        """The content field to assume where the input says nothing."""
        return self.content or "text"
