"""Properties that the paths of files say."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from mixtera.catalog import Catalog
from mixtera.contracts.properties import PropertyType
from mixtera.errors import CatalogError, SpecError
from mixtera.spec.model import BadSamples, ContentField, Property, Source
from tests.catalog.contents import rows
from tests.catalog.corpus import HERE, spec, spoil

TYPES: dict[str, PropertyType] = {"year": "int64"}


def captured(*paths: Path | str, kind: str = "jsonl", more: tuple[Property, ...] = (), **types: PropertyType) -> Source:
    wanted = tuple(Property(name, f"{{{name}}}", type_, HERE) for name, type_ in types.items())
    return Source(
        "web", tuple(map(str, paths)), kind, (ContentField("text", "text"),), wanted + more, BadSamples(), HERE
    )


def write(path: Path, count: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [{"text": f"sample {number}", "n": number} for number in range(count)]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    elif path.suffix == ".arrow":
        feather.write_feather(pa.Table.from_pylist(records), str(path))
    elif path.suffix == ".csv":
        path.write_text("text,n\n" + "".join(f"{record['text']},{record['n']}\n" for record in records))
    elif path.suffix == ".txt":
        path.write_text("a text")
    else:
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("jsonl", "jsonl"), ("csv", "csv"), ("parquet", "parquet"), ("arrow", "arrow"), ("text", "txt")],
)
def test_every_format_gets_what_the_path_says(kind: str, suffix: str, catalog: Catalog, tmp_path: Path) -> None:
    for language, year in (("en", 2020), ("en", 2021), ("grün & blau", 2020), ("100%25", 1999)):
        write(tmp_path / "data" / language / str(year) / f"x.{suffix}")
    web = captured(
        tmp_path / "data" / "{language}" / "{year}" / f"*.{suffix}", kind=kind, language="string", year="int64"
    )
    report = catalog.index(spec(web))
    assert report.samples == (4 if kind == "text" else 12)
    for row in rows(catalog, web):
        language, year, _ = str(row["file"]).split("/")
        assert (row["language"], row["year"]) == (language, int(year))


def test_captures_and_properties_of_records_go_together(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "data" / "en" / "x.jsonl", 5)
    more = (Property("n", "n", None, HERE),)
    web = captured(tmp_path / "data" / "{language}" / "*.jsonl", more=more, language="string")
    catalog.index(spec(web))
    assert [(row["language"], row["n"]) for row in rows(catalog, web)] == [("en", number) for number in range(5)]
    assert catalog.source(web).types == {"language": "string", "n": "int64"}


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("string", "007", "007"),
        ("int64", "007", 7),
        ("int64", "-3", -3),
        ("float64", "0.5", 0.5),
        ("bool", "true", True),
        ("date", "2024-02-29", "2024-02-29"),
        ("timestamp", "2024-02-29T12:00:00", "2024-02-29 12:00:00+00:00"),
    ],
)
def test_types(type_: PropertyType, text: str, value: object, catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / text / "x.jsonl", 1)
    web = captured(tmp_path / "{value}" / "*.jsonl", value=type_)
    catalog.index(spec(web))
    (row,) = rows(catalog, web)
    assert str(row["value"]) == str(value)


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("int64", "latest"),
        ("int64", "1_000"),
        ("int64", "9223372036854775808"),
        ("float64", "nan"),
        ("float64", "1e999"),
        ("bool", "yes"),
        ("date", "2023-02-29"),
        ("timestamp", "noon"),
    ],
)
def test_a_value_that_is_not_of_the_type_is_an_error_before_anything_is_read(
    type_: PropertyType, text: str, catalog: Catalog, tmp_path: Path
) -> None:
    spoil(write(tmp_path / text / "x.jsonl"))
    web = captured(tmp_path / "{value}" / "*.jsonl", value=type_)
    with pytest.raises(SpecError, match=rf"{text}/x\.jsonl: property 'value': its path has '{text}', .* no {type_}"):
        catalog.index(spec(web))
    assert catalog.sources() == ()


def test_all_files_of_a_wrong_value_are_named_at_the_property(catalog: Catalog, tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path / f"x{number}" / "x.jsonl", 1)
    with pytest.raises(SpecError) as caught:
        catalog.index(spec(captured(tmp_path / "{n}" / "*.jsonl", n="int64")))
    assert len(caught.value.issues) == 20


def test_hive_partitions_as_pyarrow_writes_them(catalog: Catalog, tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b", "c", "d"], "topic": ["a/b", "x y", None, "ü"], "year": [1, 2, 3, 4]})
    ds.write_dataset(
        table,
        tmp_path / "data",
        format="parquet",
        partitioning=ds.partitioning(pa.schema([("topic", pa.string()), ("year", pa.int64())]), flavor="hive"),
    )
    pattern = tmp_path / "data" / "topic={topic}" / "year={year}" / "*.parquet"
    web = captured(pattern, kind="parquet", topic="string", year="int64")
    catalog.index(spec(web))
    found = sorted((row["year"], row["topic"]) for row in rows(catalog, web))
    assert found == [(1, "a/b"), (2, "x y"), (3, None), (4, "ü")]


def test_a_path_without_the_capture_gives_null(catalog: Catalog, tmp_path: Path) -> None:
    one = write(tmp_path / "data" / "en" / "x.jsonl", 1)
    other = write(tmp_path / "plain.jsonl", 1)
    web = captured(tmp_path / "data" / "{language}" / "*.jsonl", other, language="string")
    catalog.index(spec(web))
    assert {str(row["file"]): row["language"] for row in rows(catalog, web)} == {"en/x.jsonl": "en", other.name: None}
    assert one.exists()


def test_a_shell_list_is_no_capture_and_names_with_braces_are_files(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "{a,b}" / "{c}.jsonl", 2)
    web = captured(tmp_path / "{a,b}" / "[{]c}.jsonl")
    assert catalog.index(spec(web)).samples == 2


def test_a_capture_that_is_renamed_or_moved_is_made_anew_without_a_read(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "data" / "en" / "x" / "1.jsonl", 1)
    first = captured(tmp_path / "data" / "{language}" / "{topic}" / "*.jsonl", language="string", topic="string")
    other = captured(tmp_path / "data" / "{topic}" / "{language}" / "*.jsonl", language="string", topic="string")
    assert catalog.index(spec(first)).indexed_files == 1
    assert catalog.index(spec(first)).indexed_files == 0
    with pytest.raises(CatalogError, match="paths"):
        catalog.source(other)
    spoil(tmp_path / "data" / "en" / "x" / "1.jsonl")
    (report,) = catalog.index(spec(other)).sources
    assert (report.new, report.changed, report.columns) == (0, 0, ("language", "topic"))
    (row,) = rows(catalog, other)
    assert (row["language"], row["topic"]) == ("x", "en")


def test_files_with_captures_that_moved_are_not_read_again(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "data" / "en" / "1.jsonl", 1)
    catalog.index(spec(captured(tmp_path / "data" / "{language}" / "*.jsonl", language="string")))
    (tmp_path / "data").rename(tmp_path / "moved")
    spoil(tmp_path / "moved" / "en" / "1.jsonl")
    web = captured(tmp_path / "moved" / "{language}" / "*.jsonl", language="string")
    assert catalog.index(spec(web)).indexed_files == 0
    assert [row["language"] for row in rows(catalog, web)] == ["en"]


def test_several_processes_agree(catalog: Catalog, tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / "data" / f"l{number}" / "x.jsonl", 50)
    web = captured(tmp_path / "data" / "{language}" / "*.jsonl", language="string")
    catalog.index(spec(web), workers=2)
    assert {(str(row["file"]), row["language"]) for row in rows(catalog, web)} == {
        (f"l{number}/x.jsonl", f"l{number}") for number in range(20)
    }
