"""What a source is to be indexed as: the spec's words, with a type for every property."""

from __future__ import annotations

from collections.abc import Sequence

from mixtera.catalog.derived import check_inputs, computed_column, kept_columns
from mixtera.catalog.model import Definition
from mixtera.catalog.sidecars import sidecar_tables
from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo
from mixtera.errors import Issue, SpecError
from mixtera.formats.sniff import hint, naming_the_content
from mixtera.registry import format_named, storage_of
from mixtera.spec.model import Property, Source


def define(
    source: Source, files: Sequence[FileInfo], sidecars: Sequence[Sequence[FileInfo]], before: Definition | None
) -> Definition:
    """The definition of a source: types as declared, as stored where the property is the same, or else inferred.

    Args:
        source: The source.
        files: Its files.
        sidecars: The files of each of its sidecars.
        before: What it was indexed as; its columns that no spec names are kept.

    Raises:
        SpecError: No record that was looked at has a value of an undeclared property; a sidecar lacks a column.
        CatalogError: A property is computed from what the source does not have.
    """
    check_inputs(source)
    same = before if before is not None and before.same_rows(source) else None
    types = _types(source, files, same)
    return Definition(
        source.format,
        source.paths,
        tuple(ContentColumn(field.name, field.path) for field in source.content),
        tuple(PropertyColumn(wanted.name, wanted.path, types[wanted.name]) for wanted in source.properties),
        source.on_bad_sample.policy,
        (*map(computed_column, source.computed), *kept_columns(before, source)),
        sidecar_tables(source, sidecars, types, before),
    )


def _types(source: Source, files: Sequence[FileInfo], before: Definition | None) -> dict[str, PropertyType]:
    stored = {(column.name, column.path): column.type for column in before.properties} if before is not None else {}
    known = {wanted.name: wanted.type or stored.get((wanted.name, wanted.path)) for wanted in source.properties}
    guessed = _inferred(source, files, {p.name: p.path for p in source.properties if known[p.name] is None})
    types = {name: type_ or guessed[name] for name, type_ in known.items()}
    if untyped := [wanted for wanted in source.properties if types[wanted.name] is None]:
        file = next((file for file in files if file.size), files[0])
        said = hint(storage_of(file.url, source.storage), file, source.format)
        looked = (
            "none of the first records has a value" if file.size else "no file has a byte in it, so none has a value"
        )
        raise SpecError([_untyped(wanted, looked, f"; {file.url}: {said}" if said else "") for wanted in untyped])
    return {name: type_ for name, type_ in types.items() if type_ is not None}


def _inferred(source: Source, files: Sequence[FileInfo], undeclared: dict[str, str]) -> dict[str, PropertyType | None]:
    if not undeclared:
        return {}
    first = storage_of(files[0].url, source.storage)
    same = [file for file in files if storage_of(file.url, source.storage) is first]
    with naming_the_content(first, same[0], source.format):
        return format_named(source.format).infer(first, same, undeclared)


def _untyped(wanted: Property, looked: str, said: str) -> Issue:
    message = (
        f"property {wanted.name!r}: {looked} at {wanted.path!r}; correct the path, or "
        f"declare its type: {{path: {wanted.path}, type: string}}{said}"
    )
    return Issue(wanted.place.file, wanted.place.line, wanted.place.column, message)
