"""A spec before it is written: what an importer finds in a foreign file, as small frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from mixtera.spec.model import OnExhaust, Place


@dataclass(frozen=True, slots=True, order=True)
class Untranslated:
    """Something of the input that the spec does not say.

    Attributes:
        file: The file it stands in, as the user gave it; for a list of words, what they are.
        line: Its line, from 1; 0 where the input has no lines.
        message: What it is, and what to do about it.
    """

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import.

    Attributes:
        kind: What the input was: one of `KINDS`.
        spec_text: The spec, with comments.
        untranslated: All that it does not say, in the order of the input; the spec's comments list the same.
    """

    kind: str
    spec_text: str
    untranslated: tuple[Untranslated, ...]


@dataclass(frozen=True, slots=True)
class DraftProperty:
    """A property of a source; `shown_only` writes it as a comment, for the user to take the `#` away."""

    name: str
    path: str
    type: str | None
    shown_only: bool = False


@dataclass(frozen=True, slots=True)
class DraftSource:
    """A source of the spec to be written.

    Attributes:
        name: Its name, which no other source of the draft has.
        paths: Files, globs or URLs as the spec will have them.
        format: Name of the format, installed or not.
        content: Delivered column → dotted path of the field.
        properties: Its properties.
        comments: What is said above it.
        place: Where the input names it.
        format_note: A remark on the format, at the end of its line.
    """

    name: str
    paths: tuple[str, ...]
    format: str
    content: tuple[tuple[str, str], ...]
    properties: tuple[DraftProperty, ...]
    comments: tuple[str, ...]
    place: Place
    format_note: str = ""


@dataclass(frozen=True, slots=True)
class DraftComponent:
    """A component of the spec to be written: some sources, with a weight, and perhaps parts.

    Attributes:
        name: Its name among its siblings.
        sources: Names of the sources whose samples it takes.
        weight: Its weight among its siblings.
        max_epochs: How often its samples may be delivered, or None for what is said around it.
        parts: The components inside it.
        comments: What is said above it.
    """

    name: str
    sources: tuple[str, ...]
    weight: float
    max_epochs: float | None = None
    parts: tuple[DraftComponent, ...] = ()
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DraftMixture:
    """The mixture of the spec to be written; without components, every source by its size."""

    components: tuple[DraftComponent, ...]
    on_exhaust: OnExhaust
    comments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """The spec to be written.

    Attributes:
        name: Its name.
        title: What the input was, for the first line.
        sources: Its sources, at least one.
        mixture: Its mixture.
        seed: Seed of the order, where the input has one.
    """

    name: str
    title: str
    sources: tuple[DraftSource, ...]
    mixture: DraftMixture
    seed: int | None = None
