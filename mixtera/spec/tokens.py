"""Reads `tokens:`, how samples become sequences of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from mixtera.spec import keys
from mixtera.spec.delivery import TEXT, names_of, same_columns
from mixtera.spec.document import Node, Scalar, describe
from mixtera.spec.fields import Fields
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.model import Packing, Source, SpecialToken, Tokens
from mixtera.template import TemplateError, parse


def read_tokens(outer: Fields, sources: Sequence[Source], issues: Issues) -> Tokens | None:
    """The section; None where there is none or it is wrong.

    Args:
        outer: The spec.
        sources: Its sources, for the content columns.
        issues: Takes the issues.
    """
    node = outer.mapping("tokens")
    if node is None:
        return None
    fields = Fields(node, keys.TOKENS, issues, outer.key_place("tokens"))
    tokenizer, length = fields.text("tokenizer"), fields.whole("sequence_length", 1, keys.LARGEST)
    encoder = fields.choice("encoder", keys.ENCODERS)
    packing = cast(Packing, fields.choice("packing", keys.PACKINGS) or "concat")
    label_shift = fields.flag("label_shift")
    shift = True if label_shift is None else label_shift
    bos, eos = _special(fields, "bos", False, issues), _special(fields, "eos", True, issues)
    longest = fields.whole("max_document_tokens", 1, keys.LARGEST)
    template = _template(fields, sources, issues)
    if tokenizer is None or length is None:
        return None
    overlap = _overlap(fields, packing, length, shift, issues)
    base = fields.value_place("tokenizer").file
    place, encoder = outer.key_place("tokens"), None if encoder == keys.ENCODERS[0] else encoder
    return Tokens(tokenizer, base, length, packing, bos, eos, shift, overlap, longest, template, place, encoder)


def _special(fields: Fields, name: str, default: bool, issues: Issues) -> SpecialToken:
    node = fields.node(name)
    if node is None:
        return default
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, bool) or (isinstance(value, str) and value):
        return value
    if type(value) is int and 0 <= value <= keys.LARGEST:
        return value
    message = f"{name}: expected true, false, the id of a token or its text, found {describe(node)}"
    issues.add(node.place, message)
    return default


def _overlap(fields: Fields, packing: Packing, length: int, shift: bool, issues: Issues) -> int:
    overlap = fields.whole("overlap", 0, keys.LARGEST)
    if overlap is None:
        return int(shift and packing == "concat")
    if packing != "concat":
        issues.add(fields.key_place("overlap"), f"overlap goes with `packing: concat`; with {packing} nothing is cut")
    elif overlap >= length + shift:
        message = f"overlap: {overlap} leaves nothing new in a sequence of {length + shift}; it must be smaller"
        issues.add(fields.value_place("overlap"), message)
    return overlap


def _template(fields: Fields, sources: Sequence[Source], issues: Issues) -> str | None:
    node = fields.node("template")
    template = fields.text("template")
    same = same_columns(sources)
    columns = list(dict.fromkeys(name for source in sources for name in names_of(source)))
    if template is None or node is None:
        if not same:
            return f"{{{TEXT}}}"  # of the sources that have it; what others have is delivered as it is
        if len(columns) > 1 and node is None:
            example = "".join(f"{{{name}}}" for name in columns)
            message = f'the sources deliver {", ".join(columns)}: say how they become one text, `template: "{example}"`'
            issues.add(fields.place, message)
        return None
    _check_template(node, template, columns, issues)
    return template


def _check_template(node: Node, template: str, columns: Sequence[str], issues: Issues) -> None:
    try:
        named = dict.fromkeys(parse(template)[1])
    except TemplateError as error:
        issues.add(node.place, f"template: {error}")
        return
    for name in named:
        if columns and name not in columns:
            hint = suggestion(name, columns, "delivered")
            issues.add(node.place, f"template: {name!r} is no content column{hint}")
