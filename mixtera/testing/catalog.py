"""Catalogs made by hand: samples given as Python values, written as the Parquet files that a real catalog has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.catalog.columns import arrow_schema, parquet_options, sample_columns
from mixtera.catalog.indexed import IndexedSource
from mixtera.contracts.properties import LIST_TYPES, PropertyType
from mixtera.spec.model import BadSamples, ContentField, Place, Property, Source
from mixtera.testing.reference import Sample, Value

_NOWHERE = Place("spec.yaml", 1, 1)
_FILES = pa.schema(
    [
        ("name", pa.string()),
        ("url", pa.string()),
        ("file_id", pa.int64()),
        ("rows", pa.int64()),
        ("size", pa.int64()),
        ("modified_ns", pa.int64()),
        ("etag", pa.string()),
        ("group_rows", pa.list_(pa.int64())),
        ("content_bytes", pa.int64()),
        ("frames", pa.list_(pa.int64())),
        ("beside", pa.string()),
    ]
)


@dataclass(frozen=True)
class MadeFile:
    """One file of a made source.

    Attributes:
        name: Its name.
        file_id: Its id, unique in the catalog.
        samples: One per row; None for a row that cannot be used. Properties that a sample lacks are NULL.
        lengths: Bytes of each record without its line end; by default ten.
        groups: Rows of each row group; empty where there are none.
    """

    name: str
    file_id: int
    samples: Sequence[Mapping[str, Value] | None]
    lengths: Sequence[int] | None = None
    groups: Sequence[int] = ()

    def records(self) -> list[tuple[int, int, int, Mapping[str, Value]]]:
        """Row, offset, length and properties of every record that can be used; records end with a line feed."""
        found, offset = [], 0
        lengths = self.lengths or [10] * len(self.samples)
        for row, (sample, length) in enumerate(zip(self.samples, lengths, strict=True)):
            if sample is not None:
                found.append((row, offset, length, sample))
            offset += length + 1
        return found


@dataclass(frozen=True)
class MadeSource:
    """A source of a made catalog."""

    name: str
    types: Mapping[str, PropertyType]
    files: Sequence[MadeFile]
    format: str = "jsonl"

    @property
    def source(self) -> Source:
        """The source as a spec has it."""
        properties = tuple(Property(name, name, type_, _NOWHERE) for name, type_ in self.types.items())
        content = (ContentField("text", "text"),)
        return Source(self.name, (f"/{self.name}/*",), self.format, content, properties, BadSamples(), _NOWHERE)

    def sample(self, sample: Mapping[str, Value], types: Mapping[str, PropertyType]) -> Sample:
        """A sample as predicates see it in a spec whose properties have these types."""
        full: dict[str, Value] = {name: [] if type_ in LIST_TYPES else None for name, type_ in types.items()}
        own: dict[str, Value] = {name: value for name, value in sample.items() if value is not None}
        return {**full, **own, "dataset": self.name}


class MadeCatalog:
    """A catalog in a directory, for tests of what reads catalogs."""

    def __init__(self, path: Path, sources: Sequence[MadeSource], parquet_files: int = 2) -> None:
        """Write the sources; each into so many Parquet files, dealt out by file."""
        self.path, self.url = path, str(path)
        self._indexed = {source.name: self._write(source, parquet_files) for source in sources}

    def source(self, source: Source) -> IndexedSource:
        """The snapshot of a source."""
        return self._indexed[source.name]

    def _write(self, source: MadeSource, parquet_files: int) -> IndexedSource:
        columns = sample_columns(source.types)
        schema = arrow_schema(columns)
        parts = [source.files[part::parquet_files] for part in range(parquet_files)]
        paths = []
        for number, files in enumerate(parts):
            rows = [_row(source, file, record) for file in files for record in file.records()]
            if rows:
                paths.append(str(self.path / f"{source.name}-{number}.parquet"))
                pq.write_table(pa.Table.from_pylist(rows, schema), paths[-1], **parquet_options(columns))
        table = pa.Table.from_pylist([_file(source, file) for file in source.files], _FILES).sort_by("name")
        samples = sum(len(file.records()) for file in source.files)
        return IndexedSource(source.name, source.name, 1, dict(source.types), tuple(paths), table, samples)


def _row(source: MadeSource, file: MadeFile, record: tuple[int, int, int, Mapping[str, Value]]) -> dict[str, object]:
    row, offset, length, sample = record
    place: dict[str, object] = {"file_id": file.file_id, "row": row}
    if source.format == "jsonl":
        place |= {"offset": offset, "length": length}
    values = source.sample(sample, source.types)
    return place | {name: values[name] for name in source.types}


def _file(source: MadeSource, file: MadeFile) -> dict[str, object]:
    size = sum(file.lengths or [10] * len(file.samples)) + len(file.samples)
    return {
        "name": file.name,
        "url": f"/{source.name}/{file.name}",
        "file_id": file.file_id,
        "rows": len(file.samples),
        "size": size,
        "modified_ns": 0,
        "etag": "",
        "group_rows": list(file.groups),
        "content_bytes": size,
    }
