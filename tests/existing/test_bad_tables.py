"""Tables that cannot be used as they are: each is refused, says what to do, and leaves the catalog as it was."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from mixtera.catalog import Catalog
from mixtera.errors import CatalogError, MixteraError
from mixtera.spec import load
from tests.existing.made import ROWS, Corpus, keep, tabled, write

Change = Callable[[pa.Table], pa.Table]


def with_column(name: str, value: object, at: int = 0) -> Change:
    """One value of a column is another."""

    def change(table: pa.Table) -> pa.Table:
        values = table[name].to_pylist()
        values[at] = value
        return table.set_column(table.column_names.index(name), name, pa.array(values, table[name].type))

    return change


def of_type(name: str, type_: pa.DataType) -> Change:
    return lambda table: table.set_column(table.column_names.index(name), name, table[name].cast(type_))


def made_of(name: str, value: object, type_: pa.DataType) -> Change:
    """A column of one value."""
    return lambda table: table.set_column(table.column_names.index(name), name, pa.array([value] * len(table), type_))


def with_more_nanoseconds(table: pa.Table) -> pa.Table:
    """A moment of the first row that is no whole microsecond."""
    moments = table["seen"].cast(pa.timestamp("ns")).cast(pa.int64())
    first = pa.array([1] + [0] * (len(table) - 1))
    return table.set_column(table.column_names.index("seen"), "seen", pc.add(moments, first))


BAD: dict[str, tuple[Change, str]] = {
    "twice": (
        lambda table: pa.concat_tables([table, table.slice(3, 1)]),
        r"the sample in_file = '.*\.parquet', in_row = \d+ is there more than once: .*; remove the duplicates",
    ),
    "twice in a row": (
        lambda table: pa.concat_tables([table.slice(0, 1), table]),
        r"is there more than once",
    ),
    "no file": (with_column("in_file", None), r"the key 'file' \(column 'in_file'\) is NULL in 1 rows of .*0\.parquet"),
    "no row": (with_column("in_row", None), r"the key 'row' \(column 'in_row'\) is NULL in 1 rows of .*: give them"),
    "a row below 0": (with_column("in_row", -1), r"in_row = -1 of '.*' is no row: they go from 0 to"),
    "a row beyond the file": (
        with_column("in_row", ROWS),
        rf"names row {ROWS} of .*\.parquet, which has {ROWS} rows, counted from 0: the file was written anew, or the",
    ),
    "a file that is missing": (
        with_column("in_file", "gone.parquet"),
        r"names the file .*/gone\.parquet, which is not there: bring it back, correct `path`, or remove its rows",
    ),
    "a file outside": (with_column("in_file", "../x.parquet"), r"'\.\./x\.parquet' lies not below .*: correct `path`"),
    "a file elsewhere": (with_column("in_file", "s3://b/x.parquet"), r"'s3://b/x\.parquet' lies not below"),
    "an empty name": (with_column("in_file", ""), r"'' lies not below"),
    "rows as texts": (
        of_type("in_row", pa.string()),
        r"the key 'row' is the column 'in_row' of type string, and not a",
    ),
    "files as numbers": (made_of("in_file", 1, pa.int64()), r"the key 'file' is the column .* int64, and not a text"),
    "a decimal": (
        made_of("year", decimal.Decimal("1.5"), pa.decimal128(5, 2)),
        r"the column 'year' is of type decimal128\(5, 2\), and no property can be: .*; cast it in the table, or leave",
    ),
    "a struct": (
        made_of("year", {"a": 1}, pa.struct([("a", pa.int64())])),
        r"'year' is of type struct<a: int64>, and",
    ),
    "bytes": (made_of("year", b"x", pa.binary()), r"'year' is of type binary, and no property can be"),
    "a time": (made_of("year", datetime.time(1), pa.time64("us")), r"'year' is of type time64\[us\], and no property"),
    "unsigned": (made_of("year", 1, pa.uint64()), r"'year' is of type uint64, and no property can be"),
    "nanoseconds": (
        lambda table: of_type("seen", pa.timestamp("ns"))(with_more_nanoseconds(table)),
        r"'seen' has timestamps between two microseconds in .*0\.parquet, and engines round them each in another way",
    ),
    "a zone": (
        of_type("seen", pa.timestamp("us", "Europe/Berlin")),
        r"'seen' is of type timestamp\[us, tz=Europe/Berlin\], and no property can be",
    ),
    "no column": (lambda table: table.drop(["language"]), r"no column 'language' in .*parquet"),
    "no rows": (lambda table: table.slice(0, 0), r"has no rows: there is nothing to mix"),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_and_says_why(name: str, corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    change, message = BAD[name]
    spec = tabled(corpus, keep(change(corpus.table), tmp_path / "meta"), tmp_path)
    with pytest.raises(CatalogError, match=message) as caught:
        catalog.index(spec)
    assert "parquet table" in str(caught.value)
    assert catalog.sources() == ()
    with pytest.raises(CatalogError, match="is not in the catalog"):
        catalog.source(spec.sources[0])


def test_a_file_that_the_table_does_not_name_relatively_needs_a_folder(
    corpus: Corpus, table: Path, catalog: Catalog, tmp_path: Path
) -> None:
    source = {
        "table": f"{{format: parquet, at: {table}}}",
        "keys": "{file: in_file, row: in_row}",
        "format": "parquet",
    }
    with pytest.raises(CatalogError, match=r"is a relative path: say by `path` what it is relative to \(source"):
        catalog.index(write(tmp_path / "x.yaml", source))


def test_a_declared_type_is_that_of_the_column(corpus: Corpus, table: Path, catalog: Catalog, tmp_path: Path) -> None:
    spec = tabled(corpus, table, tmp_path)
    path = tmp_path / "typed.yaml"
    text = (tmp_path / "table.yaml").read_text()
    path.write_text(
        text.replace("year: year,", "year: {path: year, type: string},")
        .replace("filter: year != 1999\n", "")
        .replace(" and year >= 2000", "")
    )
    with pytest.raises(CatalogError, match=r"'year': the column 'year' is int32, and cannot be string: declare"):
        catalog.index(load(path))
    assert catalog.index(spec).samples == 2 * ROWS


def test_the_files_of_a_table_have_one_type(corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    meta = keep(corpus.table, tmp_path / "meta")
    whole = pq.read_table(meta / "1.parquet")
    pq.write_table(of_type("year", pa.int64())(whole), meta / "1.parquet")
    message = r"the column 'year' is int32 in .*0\.parquet and int64 in .*1\.parquet: write the files anew with one"
    with pytest.raises(CatalogError, match=message):
        catalog.index(tabled(corpus, meta, tmp_path))


def test_what_is_no_parquet_is_said_so(corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "x.parquet").write_bytes(b"nothing")
    with pytest.raises(CatalogError, match=r"x\.parquet cannot be read as Parquet"):
        catalog.index(tabled(corpus, tmp_path / "meta", tmp_path))
    with pytest.raises(MixteraError, match=r"matches no file"):
        catalog.index(tabled(corpus, tmp_path / "none" / "*.parquet", tmp_path))
    with pytest.raises(CatalogError, match=r"is not on a file system of this machine"):
        catalog.index(tabled(corpus, Path("BUCKET"), tmp_path, table="{format: parquet, at: 's3://b/meta/*.parquet'}"))


@pytest.mark.parametrize(("folder", "kind"), [("_delta_log", "delta"), ("metadata", "iceberg")])
def test_tables_that_say_which_files_count_are_not_read_as_plain_files(
    folder: str, kind: str, corpus: Corpus, catalog: Catalog, tmp_path: Path
) -> None:
    meta = keep(corpus.table, tmp_path / "meta")
    (meta / folder).mkdir()
    (meta / folder / "v1.metadata.json").write_text("{}")
    with pytest.raises(CatalogError, match=rf"is a table of the format {kind}, .*: write format: {kind}"):
        catalog.index(tabled(corpus, meta, tmp_path))


def test_payload_of_another_format_is_refused(corpus: Corpus, table: Path, catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"files of the format arrow do not say how many samples they have"):
        catalog.index(tabled(corpus, table, tmp_path, format="arrow"))
    spec = tabled(corpus, table, tmp_path)
    path = tmp_path / "table.yaml"
    path.write_text(path.read_text().replace("content: text", "content: txet"))
    with pytest.raises(MixteraError, match=r"no content column 'txet'"):
        catalog.index(load(path))
    assert catalog.index(spec).files == 2


def test_a_failed_run_leaves_the_state_before(corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    meta = keep(corpus.table, tmp_path / "meta")
    spec = tabled(corpus, meta, tmp_path)
    catalog.index(spec)
    before = catalog.state("web")
    keep(pa.concat_tables([corpus.table, corpus.table]), meta)
    with pytest.raises(CatalogError, match="more than once"):
        catalog.index(spec)
    assert catalog.state("web").snapshot_id == before.snapshot_id
    part = corpus.table.filter(pc.less(corpus.table["in_row"], 10))
    keep(part, meta)
    assert catalog.index(spec).samples == 20
