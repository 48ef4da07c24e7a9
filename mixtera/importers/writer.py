"""Writes a draft as a spec, with comments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mixtera.importers.model import Draft, DraftComponent, DraftMixture, DraftProperty, DraftSource
from mixtera.importers.scalars import WIDTH, comment, number, quoted
from mixtera.registry import split_format


def spec_text(draft: Draft, untranslated: Sequence[str]) -> str:
    """The spec as text.

    Args:
        draft: The spec.
        untranslated: What it does not say, one line each.
    """
    lines = [
        *comment(draft.title),
        *_untranslated(untranslated),
        "version: 1",
        f"name: {quoted(draft.name)}",
        "",
        "sources:",
        *(line for source in draft.sources for line in _source(source)),
        "",
        *_mixture(draft.mixture),
    ]
    if draft.seed is not None:
        lines += ["", f"order: {{seed: {draft.seed}}}"]
    return "\n".join(lines) + "\n"


def _untranslated(remarks: Sequence[str]) -> list[str]:
    if not remarks:
        return ["# Everything in it is translated.", ""]
    listed = (line for remark in remarks for line in comment(f"- {remark}"))
    return ["#", "# Not translated:", *listed, ""]


def _source(source: DraftSource) -> list[str]:
    note = f"  # {source.format_note}" if source.format_note else ""
    return [
        *_comments(source.comments, 2),
        f"  {quoted(source.name)}:",
        *_listed("path", source.paths, 4),
        f"    format: {_format(source.format)}{note}",
        f"    content: {_content(source.content)}",
        *_properties(source.properties),
    ]


def _format(text: str) -> str:
    """The format as a spec names it, with its options."""
    name, options = split_format(text)
    given = "".join(f", {key}: {quoted(value)}" for key, value in options.items())
    return f"{{name: {quoted(name)}{given}}}" if options else quoted(name)


def _content(content: Sequence[tuple[str, str]]) -> str:
    if len(content) == 1 and content[0][0] == "text":
        return quoted(content[0][1])
    return "{" + ", ".join(f"{quoted(name)}: {quoted(path)}" for name, path in content) + "}"


def _properties(properties: Sequence[DraftProperty]) -> list[str]:
    if not properties:
        return []
    live = any(not item.shown_only for item in properties)
    return [f"    {'' if live else '# '}properties:", *(f"      {_property(item)}" for item in properties)]


def _property(item: DraftProperty) -> str:
    kind = f", type: {quoted(item.type)}" if item.type else ""
    return f"{'# ' if item.shown_only else ''}{quoted(item.name)}: {{path: {quoted(item.path)}{kind}}}"


def _listed(key: str, values: Sequence[str], indent: int) -> list[str]:
    """A key with one value, or with several, in one line where they fit."""
    space, items = " " * indent, [quoted(value) for value in values]
    line = f"{space}{key}: {items[0]}" if len(items) == 1 else f"{space}{key}: [{', '.join(items)}]"
    if len(items) == 1 or len(line) <= WIDTH:
        return [line]
    return [f"{space}{key}:", *(f"{space}  - {item}" for item in items)]


def _mixture(mixture: DraftMixture) -> list[str]:
    lines = [*_comments(mixture.comments, 0), "mixture:"]
    if mixture.components:
        lines += ["  components:", *(line for part in mixture.components for line in _component(part, 4))]
    else:
        lines += ["  by: dataset", "  weights: natural"]
    return [*lines, f"  on_exhaust: {mixture.on_exhaust}"]


def _component(component: DraftComponent, indent: int) -> list[str]:
    space = " " * indent
    lines = [
        *_comments(component.comments, indent),
        f"{space}- name: {quoted(component.name)}",
        *_where(component.sources, indent + 2),
        f"{space}  weight: {number(component.weight)}",
    ]
    if component.max_epochs is not None:
        lines.append(f"{space}  max_epochs: {number(component.max_epochs)}")
    if component.parts:
        lines.append(f"{space}  components:")
    return [*lines, *(line for part in component.parts for line in _component(part, indent + 4))]


def _where(sources: Sequence[str], indent: int) -> list[str]:
    space, items = " " * indent, [quoted(name) for name in sources]
    line = f"{space}where: {{dataset: {items[0] if len(items) == 1 else '[' + ', '.join(items) + ']'}}}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{space}where:", f"{space}  dataset:", *(f"{space}    - {item}" for item in items)]


def _comments(texts: Iterable[str], indent: int) -> list[str]:
    return [line for text in texts for line in comment(text, indent)]
