"""Templates: content columns → one text. Plain `{name}` fields and nothing else; `{{` and `}}` are braces."""

from __future__ import annotations

from string import Formatter


class TemplateError(ValueError):
    """A template that cannot be used; the message says why."""


def parts_of(template: str) -> tuple[tuple[str, str | None], ...]:
    """The pieces of a template: text, and the field that follows it (None after the last).

    Raises:
        TemplateError: A brace is open, a field has no name, or asks for a conversion, an index or an attribute.
    """
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise TemplateError(f"{error}; a brace of the text is written twice, as {{{{ or }}}}") from None
    for _, name, how, conversion in pieces:
        if name is not None and (how or conversion or not name.isidentifier()):
            shown = f"{{{name}{'!' + conversion if conversion else ''}{':' + how if how else ''}}}"
            raise TemplateError(f"{shown} is not a plain field such as {{text}}")
    return tuple((text, name) for text, name, _, _ in pieces)


def fields_of(template: str) -> tuple[str, ...]:
    """Names of the fields of a template, each once, in its order.

    Raises:
        TemplateError: It cannot be used, or has no field.
    """
    names = tuple(dict.fromkeys(name for _, name in parts_of(template) if name is not None))
    if not names:
        raise TemplateError("it has no field such as {text}: every document would be the same")
    return names
