"""What components deliver, tokens or content columns, and how many positions in a row deliver the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mixtera.spec.delivery_keys import LARGEST_GROUP, STREAM
from mixtera.spec.fields import Fields
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.model import Component, Listed, Mixture, Parts, Source, Tokens
from mixtera.template import TemplateError, parse

TEXT: str = "text"
"""The column that `content: FIELD` delivers: the text of documents, where nothing else is said."""


def read_deliver(fields: Fields, content: Sequence[str] | None, issues: Issues) -> tuple[str, ...]:
    """The content columns that a component delivers; empty where it does not say.

    Args:
        fields: The component.
        content: Content columns of all sources; None where they are not known.
        issues: Takes the issues.
    """
    found: list[str] = []
    for scalar in fields.texts("deliver"):
        name = scalar.text
        if content is not None and name not in content:
            hint = suggestion(name, content, "delivered")
            issues.add(scalar.place, f"deliver: no source has a content column {name!r}{hint}")
        elif name in found:
            issues.add(scalar.place, f"deliver: {name!r} stands there twice")
        else:
            found.append(name)
    return tuple(found)


def read_group(outer: Fields, mixture: Mixture | None, granule: int, issues: Issues) -> int:
    """Positions in a row that deliver the same; 1 where no component says what it delivers.

    Args:
        outer: The spec.
        mixture: Its mixture, where it could be read.
        granule: The granule of its order.
        issues: Takes the issues.
    """
    node = outer.mapping("stream")
    delivers = mixture is not None and any(delivering(mixture.parts))
    if delivers and mixture is not None and mixture.dynamic is not None:
        message = "`dynamic` and components that deliver something else than tokens exclude each other: weights that"
        issues.add(
            mixture.dynamic.place, f"{message} follow the training may change inside a group; remove one of both"
        )
    if node is None:
        return granule if delivers else 1
    fields = Fields(node, STREAM, issues, outer.key_place("stream"))
    group = fields.whole("group", 1, LARGEST_GROUP)
    if mixture is not None and not delivers and "group" in fields:
        message = "group: all components deliver the same, so that no batch mixes anything; remove it, or say what a"
        issues.add(fields.key_place("group"), f"{message} component delivers instead of tokens, `deliver: [image]`")
    return group or granule


def delivering(parts: Parts) -> Iterator[Component]:
    """Components that say what they deliver, at any depth."""
    for component in parts.components if isinstance(parts, Listed) else ():
        if component.deliver:
            yield component
        if component.parts is not None:
            yield from delivering(component.parts)


def check_delivery(
    sources: Sequence[Source], tokens: Tokens | None, has_tokens: bool, mixture: Mixture | None, issues: Issues
) -> None:
    """Report sources with different columns where nothing says which of them are delivered.

    Args:
        sources: The sources.
        tokens: The section `tokens:`, where it could be read.
        has_tokens: Whether it stands there.
        mixture: The mixture, where it could be read.
        issues: Takes the issues.
    """
    first = None if mixture is None else next(delivering(mixture.parts), None)
    if first is None:
        _check_same(sources, issues)
        return
    if not has_tokens:
        message = (
            f"deliver: component {first.name!r} says what it delivers instead of tokens, and there is no `tokens:`"
        )
        issues.add(first.place, f"{message}; add it, or remove `deliver`: then all sources deliver the same columns")
        return
    lacks = [source.name for source in sources if source.content and not is_text(source, tokens)]
    if tokens is not None and len(lacks) == len(sources):
        wanted = ", ".join(text_columns(tokens))
        message = f"tokens: no source has the column {wanted}, which is the text of a document where there is no"
        issues.add(
            tokens.place, f'{message} `template`; write one, such as `template: "{{{names_of(sources[0])[0]}}}"`'
        )


def text_columns(tokens: Tokens) -> tuple[str, ...]:
    """The content columns that become the text of a document; empty: the only one."""
    if tokens.template is None:
        return ()
    try:
        return tuple(dict.fromkeys(parse(tokens.template)[1]))
    except TemplateError:
        return ()  # reported already


def is_text(source: Source, tokens: Tokens | None) -> bool:
    """Whether the samples of a source can be documents: it has all columns that become their text."""
    return tokens is not None and set(text_columns(tokens)) <= set(names_of(source))


def names_of(source: Source) -> tuple[str, ...]:
    """The columns that a source delivers."""
    return tuple(field.name for field in source.content)


def _check_same(sources: Sequence[Source], issues: Issues) -> None:
    """All sources deliver the same columns: batches of a plan have one schema."""
    all_ = [source for source in sources if source.content]
    for source in all_[1:]:
        first, wanted = all_[0], names_of(all_[0])
        if set(names_of(source)) != set(wanted):
            issues.add(
                source.place,
                f"source {source.name!r} delivers {', '.join(names_of(source))}, source {first.name!r} delivers "
                f"{', '.join(wanted)}: all sources deliver the same columns; write content: {{column: field}}",
            )


def same_columns(sources: Sequence[Source]) -> bool:
    """Whether all sources have the same content columns."""
    return len({frozenset(names_of(source)) for source in sources if source.content}) <= 1
