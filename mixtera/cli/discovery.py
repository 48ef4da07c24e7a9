"""Looks into data files for a first spec: which fields they have, which of them is the content."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mixtera import registry
from mixtera.contracts.format import ContentColumn
from mixtera.contracts.properties import RESERVED_NAMES, PropertyType
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import PluginError, SampleError

HEAD_RECORDS: Final = 200
HEAD_BYTES: Final = 1 << 20
MAX_PROPERTIES: Final = 24
LONG_TEXT: Final = 200
TOKEN_FORMATS: Final = ("megatron", "tokens")
DESCRIBING: Final = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
"""What Hugging Face `datasets` writes beside the data of a folder."""
_BATCH_COLUMNS: Final = ("component", "sample")
_CONTENT_NAMES: Final = ("text", "content", "body", "code", "document")


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in the files of one source.

    Attributes:
        content: Column → dotted path of the fields that are most likely the content; empty where no field holds text.
        properties: Property name → (dotted path, type).
    """

    content: Mapping[str, str]
    properties: Mapping[str, tuple[str, PropertyType]]


def look_into(format_name: str, storage: Storage, files: Sequence[FileInfo]) -> Found:
    """Guess content and properties from the first records of the first file.

    Raises:
        PluginError: Files of this format cannot be looked into.
        SampleError: The file is not of the format.
        StorageError: It cannot be read.
    """
    if format_name in TOKEN_FORMATS:
        return _tokens(format_name, storage, files[0])
    if format_name == "webdataset":
        return _look_into_tar(storage, files)
    lengths = _text_lengths(_head(format_name, storage, files[0]))
    texts = {path: length for path, length in lengths.items() if length >= 0}
    content = max(texts, key=lambda path: (path.split(".")[-1] in _CONTENT_NAMES, texts[path]), default=None)
    short = [path for path, length in lengths.items() if path != content and length <= LONG_TEXT]
    types = _types(format_name, storage, files, short[:MAX_PROPERTIES])
    return _found({} if content is None else {"text": content}, types)


def _look_into_tar(storage: Storage, files: Sequence[FileInfo]) -> Found:
    from mixtera.formats.webdataset.head import head_of

    head = head_of(storage, files[0])
    lengths: dict[str, list[int]] = {}
    for record in head.records:
        for path, value in record.items():
            lengths.setdefault(path, []).append(len(value) if isinstance(value, str) else 0)
    content = {_column(path): path for path in head.content}
    if not content and any(map(any, lengths.values())):
        content = {"text": max(lengths, key=lambda path: sum(lengths[path]))}
    short = [path for path, sizes in lengths.items() if path not in content.values() and max(sizes) <= LONG_TEXT]
    return _found(content, _types("webdataset", storage, files, short[:MAX_PROPERTIES]))


def _column(path: str) -> str:
    """A name for the column of a member."""
    name = "image" if ";" in path else re.sub(r"[^A-Za-z0-9_]+", "_", path).strip("_") or "content"
    return f"{name}_" if name in _BATCH_COLUMNS else name


def _found(content: Mapping[str, str], types: Mapping[str, PropertyType]) -> Found:
    names = _names(list(types))
    return Found(content, {names[path]: (path, kind) for path, kind in types.items()})


def _head(format_name: str, storage: Storage, file: FileInfo) -> list[Mapping[str, object]]:
    readers = {
        "arrow": _head_of_arrow,
        "csv": _head_of_csv,
        "jsonl": _head_of_jsonl,
        "parquet": _head_of_parquet,
        "text": _head_of_text,
    }
    if format_name not in readers:
        known = ", ".join((*readers, *TOKEN_FORMATS, "webdataset"))
        raise PluginError(f"init looks into files of {known}, not of {format_name}: write the spec by hand")
    return readers[format_name](storage, file)


def _tokens(format_name: str, storage: Storage, file: FileInfo) -> Found:
    """What files of token ids have, once a reader has found the type of the first one's tokens."""
    path = "tokens"
    registry.format_named(format_name).reader(storage, file, (ContentColumn(path, path),), 0).close()
    return Found({path: path}, {"token_count": (path, "int64")})


def _head_of_jsonl(storage: Storage, file: FileInfo) -> list[Mapping[str, object]]:
    import msgspec

    from mixtera.formats.compression import plain_stream, read_fully

    with storage.open(file.url) as source, plain_stream(source, file) as (stream, _):
        head = read_fully(stream, HEAD_BYTES)
    lines = head.split(b"\n")
    records: list[Mapping[str, object]] = []
    for row, line in enumerate(lines if len(head) < HEAD_BYTES else lines[:-1]):
        try:
            record = msgspec.json.decode(line) if line.strip() else None
        except ValueError as error:
            raise SampleError(f"{file.url}, line {row + 1}: not JSON: {error}") from error
        if isinstance(record, dict):
            records.append(record)
    return records[:HEAD_RECORDS]


def _head_of_parquet(storage: Storage, file: FileInfo) -> list[Mapping[str, object]]:
    from mixtera.formats.parquet.file import open_parquet, parquet_errors

    parquet = open_parquet(storage, file)
    try:
        with parquet_errors(file):
            batch = next(parquet.iter_batches(batch_size=HEAD_RECORDS), None)
    finally:
        parquet.close(force=True)
    return [] if batch is None else list(batch.to_pylist())


def _head_of_arrow(storage: Storage, file: FileInfo) -> list[Mapping[str, object]]:
    from mixtera.formats.arrow.file import ArrowFile

    opened = ArrowFile(storage, file)
    try:
        return list(opened.batch(0)[:HEAD_RECORDS].to_pylist()) if opened.batches else []
    finally:
        opened.close()


def _head_of_csv(storage: Storage, file: FileInfo) -> list[Mapping[str, object]]:
    from mixtera.formats.csv.infer import first_records

    header, fields = first_records(storage, file)
    if header is None:
        return []
    columns = [field[:HEAD_RECORDS].to_pylist() for field in fields]
    return [dict(zip(header.names, record, strict=True)) for record in zip(*columns, strict=True)]


def _head_of_text(storage: Storage, file: FileInfo) -> list[Mapping[str, object]]:
    return [{"text": "a text file is its text"}]


def _text_lengths(records: Sequence[Mapping[str, object]]) -> dict[str, float]:
    """Dotted path → mean length of its texts; −1 for fields without texts."""
    totals: dict[str, tuple[int, int]] = {}
    for record in records:
        for path, value in _leaves(record, ""):
            count, characters = totals.get(path, (0, 0))
            text = value if isinstance(value, str) else None
            totals[path] = (count + (text is not None), characters + len(text or ""))
    return {path: characters / count if count else -1.0 for path, (count, characters) in totals.items()}


def _leaves(record: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in record.items():
        if "." in name or not name.strip():
            continue
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _types(
    format_name: str, storage: Storage, files: Sequence[FileInfo], paths: Sequence[str]
) -> dict[str, PropertyType]:
    """The types of the fields that can be properties."""
    kind = registry.format_named(format_name)
    try:
        found = kind.infer(storage, files, {path: path for path in paths})
    except SampleError:  # one of them has several types, or holds objects: it is no property
        if len(paths) <= 1:
            return {}
        half = len(paths) // 2
        parts = (_types(format_name, storage, files, part) for part in (paths[:half], paths[half:]))
        return {path: type_ for part in parts for path, type_ in part.items()}
    return {path: type_ for path, type_ in found.items() if type_ is not None}


def _names(paths: Sequence[str]) -> dict[str, str]:
    """A name for each dotted path: its last part where that is unique and allowed."""
    names: dict[str, str] = {}
    for path in paths:
        last, whole = identifier(path.split(".")[-1]), identifier(path.replace(".", "_"))
        taken = {name.casefold() for name in names.values()}
        numbered = (f"{whole}_{number}" for number in range(2, len(paths) + 2))
        names[path] = next(name for name in (last, whole, *numbered) if name.casefold() not in taken)
    return names


def identifier(text: str) -> str:
    """A name that a property can have, made of some text."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "field"
    if name[0].isdigit() or name.casefold() in RESERVED_NAMES or keyword.iskeyword(name):
        return f"field_{name}"
    return name
