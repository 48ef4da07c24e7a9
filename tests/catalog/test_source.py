from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from mixtera.catalog import Catalog
from mixtera.errors import CatalogError
from mixtera.spec.model import BadSamples
from tests.catalog.contents import iceberg_rows, rows
from tests.catalog.corpus import ALL, append, properties, source, spec, touch_later, write_lines


def test_a_source_that_was_never_indexed(catalog: Catalog, data: Path) -> None:
    with pytest.raises(CatalogError, match=r"source 'web' is not in the catalog .*: run `mixtera index spec.yaml`"):
        catalog.source(source(data / "*.jsonl"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"wanted": properties(domain="meta.domain")}, "no property 'domain'"),
        ({"wanted": properties(year="year")}, "property 'year' at 'meta.year', now at 'year'"),
        ({"wanted": properties(year=("meta.year", "string"))}, "property 'year' as int64, now as string"),
        ({"content": "score"}, r"content \{text: text\}, now \{text: score\}"),
    ],
)
def test_a_source_that_was_indexed_as_something_else(
    catalog: Catalog, data: Path, change: dict[str, object], expected: str
) -> None:
    catalog.index(spec(source(data / "*.jsonl")))
    with pytest.raises(CatalogError, match=f"indexed with another definition: {expected}: run `mixtera index"):
        catalog.source(source(data / "*.jsonl", **change))


def test_other_paths_are_another_definition(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(source(data / "*.jsonl")))
    with pytest.raises(CatalogError, match=r"paths .*\*.jsonl, now .*part-0.jsonl"):
        catalog.source(source(data / "part-0.jsonl"))


def test_records_left_out_are_refused_by_a_spec_that_allows_none(catalog: Catalog, data: Path) -> None:
    append(data / "part-0.jsonl", b"nonsense\n")
    catalog.index(spec(source(data / "*.jsonl", bad=BadSamples("skip"))))
    with pytest.raises(CatalogError, match=r"on_bad_sample: skip \(1 left out\), now fail"):
        catalog.source(source(data / "*.jsonl"))


def test_a_spec_may_name_fewer_properties_than_the_catalog_has(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(source(data / "*.jsonl")))
    assert catalog.source(source(data / "*.jsonl", properties(year="meta.year"))).types == {"year": "int64"}


def test_iceberg_itself_reads_the_same_rows(catalog: Catalog, data: Path) -> None:
    web = source(data / "*.jsonl")
    catalog.index(spec(web))
    found = iceberg_rows(catalog, "web", catalog.source(web).snapshot_id)
    assert sorted(found["year"].to_pylist()) == sorted(row["year"] for row in rows(catalog, web))
    assert sorted(found["tags"].to_pylist()) == sorted(row["tags"] for row in rows(catalog, web))
    assert found.schema.field("file_id").nullable is False


def test_an_old_snapshot_reads_as_it_was_after_rows_and_columns_changed(catalog: Catalog, data: Path) -> None:
    first = source(data / "*.jsonl", properties(year="meta.year"))
    catalog.index(spec(first))
    old = catalog.source(first).snapshot_id
    before = iceberg_rows(catalog, "web", old)
    touch_later(write_lines(data / "part-0.jsonl", range(7)))
    second = source(data / "*.jsonl", properties(year=("score", "float64"), language="meta.language"))
    catalog.index(spec(second))
    assert iceberg_rows(catalog, "web", old).equals(before)
    now = iceberg_rows(catalog, "web", catalog.source(second).snapshot_id)
    assert now.schema.field("year").type == pa.float64()
    assert len(now) == 126 - 30 + 7
    assert [facts.samples for facts in catalog.history("web")] == [103, 126]


def test_a_catalog_that_was_moved_goes_on(tmp_path: Path, data: Path) -> None:
    web = source(data / "*.jsonl")
    catalog = Catalog.open(str(tmp_path / "first"))
    catalog.index(spec(web))
    before = rows(catalog, web)
    catalog.close()
    (tmp_path / "first").rename(tmp_path / "second place")
    moved = Catalog.open((tmp_path / "second place").as_uri())
    assert rows(moved, web) == before
    write_lines(data / "part-8.jsonl", range(4))
    moved.index(spec(web))
    assert len(rows(moved, web)) == 130
    assert all(path.startswith(str(tmp_path / "second place")) for path in moved.source(web).data_files)
    assert not (tmp_path / "first").exists()
    moved.close()


def test_a_copy_of_a_catalog_is_independent_of_the_original(tmp_path: Path, data: Path) -> None:
    web = source(data / "*.jsonl")
    original = Catalog.open(str(tmp_path / "original"))
    original.index(spec(web))
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    copy = Catalog.open(str(tmp_path / "copy"))
    (data / "part-3.jsonl").unlink()
    copy.index(spec(web))
    assert (copy.source(web).rows, original.source(web).rows) == (93, 126)
    copy.close()
    original.close()


def test_a_dropped_source_is_gone_and_can_come_back(catalog: Catalog, data: Path) -> None:
    web, other = source(data / "part-0.jsonl"), source(data / "part-1.jsonl", name="other")
    catalog.index(spec(web, other))
    catalog.drop("web")
    assert catalog.sources() == ("other",)
    assert not list((catalog.path / "warehouse" / "web").rglob("*"))
    with pytest.raises(CatalogError, match=r"'web' is not in the catalog .* it holds: other"):
        catalog.drop("web")
    assert catalog.index(spec(web)).samples == 30


def test_statistics_of_properties(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(source(data / "*.jsonl")))
    found = {facts.name: facts for facts in catalog.statistics("web")}
    assert list(found) == [wanted.name for wanted in ALL]
    assert (found["year"].samples, found["year"].missing, found["year"].distinct) == (126, 0, 20)
    assert (found["year"].smallest, found["year"].largest) == (2000, 2019)
    assert found["language"].top == (("de", 42), ("en", 42), ("fr", 42))
    assert found["tags"].missing == 33
    assert found["tags"].top[0] == ("a", 93)
    (only,) = catalog.statistics("web", "score")
    assert only.type == "float64"
    with pytest.raises(CatalogError, match=r"source 'web' has no property 'yaer'; it has: language, year"):
        catalog.statistics("web", "yaer")


def test_a_catalog_whose_metadata_are_damaged_is_an_error_that_names_the_file(catalog: Catalog, data: Path) -> None:
    web = source(data / "*.jsonl")
    catalog.index(spec(web))
    for path in (catalog.path / "warehouse" / "web" / "files" / "metadata").glob("*.metadata.json"):
        path.write_text("{")
    with pytest.raises(CatalogError, match=r"metadata\.json cannot be read: .* restore it"):
        catalog.source(web)


def test_reading_a_source_loads_no_pyiceberg(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(source(data / "*.jsonl")))
    program = (
        "import sys; from mixtera.catalog import Catalog; "
        f"state = Catalog.open({str(catalog.path)!r}).state('web'); "
        "print(len(state.files), sorted({'pyiceberg', 'pandas', 'sqlalchemy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "4 []\n", done.stderr
