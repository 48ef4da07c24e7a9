"""Catalogs of any size, without the data that they describe: what `mixtera index` would have written, at the speed of
Parquet. Everything is deterministic: a catalog that grows keeps the rows that it has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.corpus import DOMAINS
from mixtera.catalog.bundles import Scanned, ScannedFile
from mixtera.catalog.columns import ROW_GROUP_ROWS, sample_columns
from mixtera.catalog.commit import Outcome, commit
from mixtera.catalog.definition import define
from mixtera.catalog.listing import Changes
from mixtera.catalog.names import assign_file_ids
from mixtera.catalog.opening import open_tables
from mixtera.catalog.staging import RunFacts, Staged, Staging
from mixtera.catalog.state import read_state
from mixtera.catalog.tables import Tables
from mixtera.catalog.writing import ParquetFile
from mixtera.contracts.storage import FileInfo
from mixtera.spec import load
from mixtera.spec.model import Source

GROUPS = ((0, 1), (1, 2), (2, 4), (4, 7), (7, 11), (11, 15), (15, 19), (19, 22))
"""Domains of the eight components."""
DATA_FILE_ROWS = 5_000_000
"""Rows of a Parquet file of the catalog: about what a bundle of 4 GiB of records gives."""
RECORD_BYTES = 850
PROPERTIES = {
    "domain": {"path": "domain", "type": "string"},
    "year": {"path": "year", "type": "int64"},
    "quality": {"path": "quality", "type": "float64"},
}
_NAMES = pa.array(DOMAINS)


@dataclass(frozen=True)
class Shape:
    """How large a catalog is.

    Attributes:
        rows: Samples.
        files: Files that they lie in, all of the same size but the last.
        sources: Sources that the files belong to, as many to each.
        components: Components of the mixture; 8 of them go by domains, more go by sources, with two parts in each.
    """

    rows: int
    files: int = 1_000
    sources: int = 1
    components: int = 8


def write_spec(directory: Path, shape: Shape) -> Path:
    """Write the spec of a shape."""
    names = [f"source-{number:04d}" for number in range(shape.sources)]
    sources = {
        name: {"path": f"/nowhere/{name}/*.jsonl", "content": "text", "properties": PROPERTIES} for name in names
    }
    spec = {
        "version": 1,
        "name": f"scale-{shape.rows}",
        "sources": sources,
        "mixture": {"components": _components(shape, names), "on_exhaust": "repeat"},
        "order": {"seed": 7},
    }
    path = directory / "spec.yaml"
    path.write_text(json.dumps(spec, indent=1))  # JSON is YAML
    return path


def _components(shape: Shape, names: Sequence[str]) -> list[dict[str, object]]:
    if shape.components == len(GROUPS):
        return [
            {"name": f"part-{i}", "where": {"domain": list(DOMAINS[first:last])}, "weight": 1 + i % 5}
            for i, (first, last) in enumerate(GROUPS)
        ]
    outer = shape.components // 2
    return [
        {
            "name": f"part-{i}",
            "where": {"dataset": list(names[i::outer])},
            "weight": 1 + i % 5,
            "components": [
                {"name": "good", "where": f"quality >= {0.3 + i % 10 / 25:g}", "weight": 3},
                {"name": "rest", "weight": 1},
            ],
        }
        for i in range(outer)
    ]


def write_catalog(directory: Path, shape: Shape) -> Path:
    """Write a catalog and its spec into a directory; one that is there is brought up to the shape's rows and files.

    Returns:
        The spec.
    """
    directory.mkdir(parents=True, exist_ok=True)
    spec = load(str(write_spec(directory, shape)))
    tables = open_tables(str(directory / "catalog"), create=True)
    taken: set[int] = set()
    for number, source in enumerate(spec.sources):
        files = _files(source.name, shape, number)
        before = read_state(tables, source.name)
        known = (
            {}
            if before is None
            else dict(zip(*(before.files[c].to_pylist() for c in ("name", "file_id")), strict=True))
        )
        ids = assign_file_ids(source.name, [file.name for file in files], known, taken)
        taken |= set(ids.values())
        _index(tables, source, files, ids)
    return directory / "spec.yaml"


def _files(source: str, shape: Shape, number: int) -> list[FileInfo]:
    """Files of a source; a size of `RECORD_BYTES` a row says how many rows one has."""
    each = -(-shape.rows // shape.files)
    mine = range(number * shape.files // shape.sources, (number + 1) * shape.files // shape.sources)
    rows = [max(0, min(each, shape.rows - file * each)) for file in mine]
    return [
        FileInfo(f"/nowhere/{source}/{file:06d}.jsonl", f"{file:06d}.jsonl", count * RECORD_BYTES, 1)
        for file, count in zip(mine, rows, strict=True)
    ]


def _index(tables: Tables, source: Source, files: Sequence[FileInfo], ids: dict[str, int]) -> None:
    """What the index of a source does, but that no file is read."""
    before = read_state(tables, source.name)
    known = set() if before is None else set(before.files["name"].to_pylist())
    changes = Changes(
        tuple(file for file in files if file.name not in known),
        (),
        (),
        tuple(file for file in files if file.name in known),
        False,
    )
    definition = define(source, files, (), None if before is None else before.definition)
    columns = tables.field_ids(source.name, sample_columns(definition.types))
    staging = Staging(tables.data_directory(source.name))
    run = staging.start(RunFacts(definition, columns))
    staged = []
    for number, bundle in enumerate(_bundles(sorted(changes.new, key=lambda file: ids[file.name]))):
        name = f"{number}.parquet"
        with ParquetFile(run / name, columns) as out:
            for file in bundle:
                for arrays in _rows(ids[file.name], file.size // RECORD_BYTES):
                    out.add(arrays)
        scanned = tuple(
            ScannedFile(file, ids[file.name], rows, rows, 0, (), file.size)
            for file in bundle
            if (rows := file.size // RECORD_BYTES) >= 0
        )
        staged.append(Staged(run, Scanned(name, "", scanned, (), 0)))
    if changes.new:
        outcome = Outcome(source.name, definition, columns, before, changes, staged, run)
        staging.clean(commit(tables, outcome).paths)
    else:
        staging.clean(())


def _bundles(files: Sequence[FileInfo]) -> Iterator[list[FileInfo]]:
    bundle: list[FileInfo] = []
    for file in files:
        if sum(known.size for known in bundle) >= DATA_FILE_ROWS * RECORD_BYTES:
            yield bundle
            bundle = []
        bundle.append(file)
    if bundle:
        yield bundle


def _rows(file_id: int, rows: int) -> Iterator[list[pa.Array]]:
    """Rows of a file with random properties, the same each time."""
    random = np.random.Generator(np.random.PCG64(file_id))
    for first in range(0, rows, ROW_GROUP_ROWS):
        row = np.arange(first, min(first + ROW_GROUP_ROWS, rows))
        domain = random.integers(0, len(DOMAINS), len(row), np.int8)
        length = random.integers(RECORD_BYTES // 4, RECORD_BYTES * 7 // 4, len(row))
        offset = first * RECORD_BYTES + np.cumsum(length + 1) - length - 1
        yield [
            pa.array(np.full(len(row), file_id)),
            pa.array(row),
            pa.array(offset),
            pa.array(length),
            pa.DictionaryArray.from_arrays(pa.array(domain), _NAMES),
            pa.array(random.integers(1995, 2026, len(row))),
            pa.array(random.integers(0, 1000, len(row)) / 1000),
        ]
