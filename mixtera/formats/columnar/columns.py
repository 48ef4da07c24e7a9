"""Columns of a file by their dotted paths: those of the content, those of properties, and what type they are."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.contracts.storage import FileInfo
from mixtera.errors import SampleError
from mixtera.formats.columnar.schema import Column, check_convertible, find_column, property_type
from mixtera.formats.guess import Guess
from mixtera.formats.paths import split_path


def content_columns(schema: pa.Schema, file: FileInfo, content: Sequence[ContentColumn]) -> list[Column]:
    """The content columns, all of which must exist.

    Raises:
        SampleError: One does not, or is a struct.
    """
    return [_content_column(schema, file, column.path) for column in content]


def _content_column(schema: pa.Schema, file: FileInfo, path: str) -> Column:
    found = find_column(schema, path, file.url)
    if found is not None and found.elements:
        split_path(path)
    if found is None:
        raise SampleError(f"{file.url}: no content column {path!r}; the file's columns: {', '.join(schema.names)}")
    if pa.types.is_struct(found.type):
        fields = ", ".join(found.type.field(i).name for i in range(found.type.num_fields))
        raise SampleError(f"{file.url}: content column {path!r} is a struct: name one of its fields ({fields})")
    if pa.types.is_run_end_encoded(found.type):
        raise SampleError(
            f"{file.url}: content column {path!r} is of type {found.type}, of which no rows can be read alone: "
            f"write it as {found.type.value_type}"
        )
    return found


def property_columns(schema: pa.Schema, file: FileInfo, properties: Sequence[PropertyColumn]) -> list[Column | None]:
    """The columns of properties; None for those that the file lacks.

    Raises:
        SampleError: One cannot be converted to the property's type.
    """
    found = [find_column(schema, prop.path, file.url) for prop in properties]
    for prop, column in zip(properties, found, strict=True):
        if column is not None:
            check_convertible(column.type, prop.type, f"{file.url}: property {prop.name!r} ({prop.path})")
    return found


def look(guess: Guess, schema: pa.Schema, path: str, place: str) -> None:
    """Let the schema of a file tell the type of a property."""
    found = find_column(schema, path, place)
    if found is None or pa.types.is_null(found.type):
        return
    present = property_type(found.type)
    if present is not None:
        guess.see(present, place)
        return
    hint = "use a dotted path to one of its fields" if pa.types.is_struct(found.type) else "it cannot be a property"
    guess.refuse(f"is of type {found.type}: {hint}", place)
