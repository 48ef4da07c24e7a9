r"""Content as one text: `"{title}\n\n{text}"` over the content columns. Counting and streaming use the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from mixtera.errors import TokenizerError
from mixtera.template import TemplateError
from mixtera.template import parse as parts_of
from mixtera.tokens.tokenizers.nearest import did_you_mean


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text with fields between.

    Attributes:
        literals: One more than fields; what stands before, between and after them.
        fields: Names of content columns, in the order of the text; a name may come again.
    """

    literals: tuple[str, ...]
    fields: tuple[str, ...]

    @property
    def is_plain(self) -> bool:
        """Whether it is one field and nothing else."""
        return len(self.fields) == 1 and not any(self.literals)

    def render(self, batch: pa.RecordBatch) -> pa.Array:
        """One text a row.

        NULL is the empty text beside other fields; a row whose fields are all NULL is NULL: there is no document.

        Args:
            batch: Has the columns of the fields: strings or bytes.

        Returns:
            The column itself for a plain template; else `large_string`, or `large_binary` where a field is of bytes.

        Raises:
            TokenizerError: A column is missing, or of another type.
        """
        columns = [_column(batch, name) for name in self.fields]
        return columns[0] if self.is_plain else _joined(self.literals, columns)


def parse(text: str, known: Sequence[str] | None = None) -> Template:
    """Parse a template: `{name}` is a field, `{{` and `}}` are braces.

    Args:
        text: The template.
        known: Content columns; None where they are not known yet.

    Raises:
        TokenizerError: A brace stands alone, a field is no plain name or none of the columns, or there is no field.
    """
    try:
        literals, fields = parts_of(text)
    except TemplateError as error:
        raise TokenizerError(f"template {text!r}: {error}") from None
    for name in fields:
        if known is not None and name not in known:
            hint = did_you_mean(name, known)
            raise TokenizerError(
                f"template {text!r}: there is no content column {name!r}; there are {', '.join(known)}{hint}"
            )
    return Template(literals, fields)


def content_template(
    columns: Sequence[str], template: str | None = None, prefix: str = "", suffix: str = ""
) -> Template:
    """The template of a spec's settings.

    Args:
        columns: The content columns.
        template: What the spec says; may be left out where there is one column.
        prefix: Literal text before every document; braces mean themselves here.
        suffix: Literal text after it.

    Raises:
        TokenizerError: The template is wrong, or missing where there are several columns.
    """
    if template is None and len(columns) != 1:
        example = "\\n\\n".join(f"{{{name}}}" for name in columns[:2]) or "{text}"
        raise TokenizerError(
            f"the content has {len(columns)} columns ({', '.join(columns)}); say how they become one text with "
            f'`template`, for example "{example}"'
        )
    parsed = parse(f"{{{columns[0]}}}", columns) if template is None else parse(template, columns)
    first, *rest = parsed.literals
    *middle, last = [prefix + first, *rest]
    return Template((*middle, last + suffix), parsed.fields)


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    names = batch.schema.names
    if name not in names:
        raise TokenizerError(
            f"the template has a field {name!r}, and the samples have the columns {', '.join(names)}"
            + did_you_mean(name, names)
        )
    return batch.column(name)


def _joined(literals: Sequence[str], columns: Sequence[pa.Array]) -> pa.Array:
    import pyarrow.compute as pc

    binary = any(_is_binary(column.type) for column in columns)
    wide = pa.large_binary() if binary else pa.large_string()
    pieces = [pa.scalar(literal.encode() if binary else literal, wide) for literal in literals]
    empty = pa.scalar(b"" if binary else "", wide)
    parts = [pieces[0]]
    for column, literal in zip(columns, pieces[1:], strict=True):
        parts += [_wide(column, wide), literal]
    joined = pc.binary_join_element_wise(*parts, empty, null_handling="replace", null_replacement=empty.as_py())
    absent = columns[0].is_null()
    for column in columns[1:]:
        absent = pc.and_(absent, column.is_null())
    return pc.if_else(absent, pa.scalar(None, wide), joined)


def _is_binary(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_binary(value) or pa.types.is_large_binary(value) or pa.types.is_binary_view(value))


def _wide(column: pa.Array, wide: pa.DataType) -> pa.Array:
    value = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    textual = pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)
    if not (textual or _is_binary(value) or pa.types.is_null(value)):
        raise TokenizerError(f"a field of type {column.type} is no text; name another content column in the template")
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return plain.cast(wide)
