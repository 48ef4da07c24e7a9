"""A table that places records of JSONL files by offset and length, with and without the number of the line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from mixtera.catalog import Catalog
from mixtera.compiler import compile
from mixtera.errors import CatalogError, SampleError
from mixtera.spec.model import Spec
from tests.existing.made import FILES, PROPERTIES, Corpus, facts, keep, shuffled, write

LINES = 300
NAMES = tuple(name.replace(".parquet", ".jsonl") for name in FILES)
KEPT = {name: column for name, column in PROPERTIES.items() if name != "tags"}
ROW = "{file: in_file, row: in_row, offset: at, length: bytes}"
NO_ROW = "{file: in_file, offset: at, length: bytes}"


def write_lines(folder: Path, blank: bool) -> pa.Table:
    """Some files, one with Windows' line ends and no last one, and the table of their lines."""
    parts = []
    for number, name in enumerate(NAMES):
        known, lines, offset = facts(number, LINES).drop(["tags"]), [], 0
        end = "\r\n" if number else "\n"
        for row, values in enumerate(known.to_pylist()):
            score = values["score"]
            value = {"text": f"{name} {row}", **values, "day": str(values["day"]), "seen": values["seen"].isoformat()}
            value["score"] = None if score is None or score != score else score
            lines.append(json.dumps(value))
            if blank and row == 5:
                lines.append("")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = end.join(lines) + ("" if number else end)
        path.write_bytes(whole.encode())
        places = []
        for row, line in enumerate(lines):
            places += [(row, offset, len(line))] if line else []
            offset += len(line) + len(end)
        for column, values in zip(("in_row", "at", "bytes"), zip(*places, strict=True), strict=True):
            known = known.append_column(column, pa.array(values, pa.int64()))
        parts.append(known.append_column("in_file", pa.array([name] * LINES)))
    return shuffled(pa.concat_tables(parts))


def typed(properties: dict[str, str]) -> dict[str, str]:
    types = {"day": "date", "seen": "timestamp", "score": "float64"}
    return {n: f"{{path: {p}, type: {types[n]}}}" if n in types else p for n, p in properties.items()}


def without_tags(spec: Path) -> Path:
    spec.write_text(spec.read_text().replace("'\"a\" in tags and score <= 0'", "'score <= 0'"))
    return spec


def tabled(data: Path, at: Path, folder: Path, keys: str = ROW) -> Spec:
    source = {"table": f"{{format: parquet, at: {at}}}", "keys": keys, "path": str(data), "format": "jsonl"}
    return _written(folder / "table.yaml", source, KEPT)


def _written(path: Path, source: dict[str, str], properties: dict[str, str]) -> Spec:
    from mixtera.spec import load

    names = {**properties, "tags": "{path: tags, type: list<string>}"}  # the mixture names it
    write(path, source, names)
    path.write_text(path.read_text().replace(", tags: {path: tags, type: list<string>}", ""))
    return load(without_tags(path))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table, str]:
    """The files, the table, and the digest of the plan without it."""
    folder = tmp_path_factory.mktemp("lines")
    table = write_lines(folder / "data", blank=False)
    plain = {name: name for name in KEPT}
    spec = _written(folder / "plain.yaml", {"path": str(folder / "data" / "**" / "*.jsonl")}, typed(plain))
    catalog = Catalog.open(str(folder / "plain"))
    catalog.index(spec, workers=1)
    return folder / "data", table, compile(spec, catalog).digest


@pytest.mark.parametrize("engine", ["duckdb", "polars", "datafusion"])
@pytest.mark.parametrize("keys", [ROW, NO_ROW], ids=["with rows", "without"])
def test_the_plan_is_that_of_the_indexed_files(
    engine: str, keys: str, lines: tuple[Path, pa.Table, str], catalog: Catalog, tmp_path: Path
) -> None:
    data, table, digest = lines
    spec = tabled(data, keep(table, tmp_path / "meta"), tmp_path, keys)
    assert catalog.index(spec).samples == 2 * LINES
    plan = compile(spec, catalog, engine=engine)
    assert plan.digest == digest
    names = dict(zip(plan.data.files["file_id"].to_pylist(), NAMES, strict=True))
    batch = next(iter(plan.stream(batch_size=64)))
    for text, sample in zip(batch["text"].to_pylist(), batch["sample"].to_pylist(), strict=True):
        assert text == f"{names[sample >> 31]} {sample & (2**31 - 1)}"


def test_lines_that_the_table_leaves_out_need_numbers(catalog: Catalog, tmp_path: Path) -> None:
    table = write_lines(tmp_path / "data", blank=True)
    meta = keep(table, tmp_path / "meta")
    with pytest.raises(CatalogError, match=r"between rows 5 and 6 of .*a\.jsonl lie 2 bytes|between rows 5 and 6"):
        catalog.index(tabled(tmp_path / "data", meta, tmp_path, NO_ROW))
    spec = tabled(tmp_path / "data", meta, tmp_path)
    assert catalog.index(spec).samples == 2 * LINES
    assert sum(batch.num_rows for batch in compile(spec, catalog).stream(batch_size=16)) > 100
    some = table.filter(pc.not_equal(table["in_row"], 17))
    assert catalog.index(tabled(tmp_path / "data", keep(some, meta), tmp_path)).samples == 2 * LINES - 2


def moved(column: str, by: int, row: int = 40) -> Callable[[pa.Table], pa.Table]:
    """One row's value is another."""

    def change(table: pa.Table) -> pa.Table:
        hit = pc.and_(pc.equal(table["in_row"], row), pc.equal(table["in_file"], NAMES[0]))
        values = pc.if_else(hit, pc.add(table[column], by), table[column])
        return table.set_column(table.column_names.index(column), column, values)

    return change


BAD: dict[str, tuple[str, Callable[[pa.Table], pa.Table], str]] = {
    "twice": (NO_ROW, lambda t: pa.concat_tables([t, t.slice(9, 1)]), r"at = \d+ is there more than once"),
    "a row twice": (ROW, moved("in_row", 1), r"in_row = 41 is there more than once"),
    "an offset inside another": (ROW, moved("at", -1), r"rows 39 and 40 of .* have no line end between them"),
    "lengths with line ends": (ROW, moved("bytes", 1), r"have no line end between them: the second begins 0 bytes"),
    "a length beyond the file": (ROW, moved("bytes", 10**6, LINES - 1), r"ends at byte \d+, and the file has \d+"),
    "a length below 0": (ROW, moved("bytes", -(10**6)), r"bytes = -\d+ of '.*' is no length: they go from 0 to"),
    "a line between": (
        ROW,
        moved("bytes", -3),
        r"between rows 40 and 41 .* lie 4 bytes, more than a line end: .* number",
    ),
    "a row beyond all bytes": (ROW, moved("in_row", 10**6), r"names row 1000040 of .*, which has \d+ bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_and_says_why(
    name: str, lines: tuple[Path, pa.Table, str], catalog: Catalog, tmp_path: Path
) -> None:
    keys, change, message = BAD[name]
    spec = tabled(lines[0], keep(change(lines[1]), tmp_path / "meta"), tmp_path, keys)
    with pytest.raises(CatalogError, match=message):
        catalog.index(spec)
    assert catalog.sources() == ()


def test_compressed_lines_are_refused(lines: tuple[Path, pa.Table, str], catalog: Catalog, tmp_path: Path) -> None:
    for name in NAMES:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress((lines[0] / name).read_bytes()))
    with pytest.raises(SampleError, match=r"is compressed \(gzip\): offsets and lengths say nothing of its bytes"):
        catalog.index(tabled(tmp_path / "data", keep(lines[1], tmp_path / "meta"), tmp_path))


def test_other_formats_of_lines_are_refused(
    corpus: Corpus, lines: tuple[Path, pa.Table, str], catalog: Catalog, tmp_path: Path
) -> None:
    spec = tabled(lines[0], keep(lines[1], tmp_path / "meta"), tmp_path)
    path = tmp_path / "table.yaml"
    path.write_text(path.read_text().replace("format: jsonl", "format: csv"))
    from mixtera.spec import load

    with pytest.raises(CatalogError, match=r"records of the format csv are not found by offset and length alone"):
        catalog.index(load(path))
    assert pq.read_metadata(tmp_path / "meta" / "0.parquet").num_rows == 200
    assert spec.sources[0].format == "jsonl"
