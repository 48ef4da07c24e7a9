"""Computed properties: what functions get, what may come back, and what is computed when."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mixtera
from mixtera.catalog import Catalog, deriving
from mixtera.catalog.derived import ComputedColumn
from mixtera.compiler.build import build
from mixtera.compiler.lower import lower
from mixtera.compiler.optimise import optimised
from mixtera.compiler.pipeline import session
from mixtera.contracts.properties import PropertyType
from mixtera.errors import CatalogError, MixteraError, PluginError, SampleError, StorageError
from mixtera.spec.model import BadSamples, ComputedProperty, ContentField, Grouped, Mixture, Natural, SortKey, Source
from tests.catalog.contents import iceberg_rows, in_order, rows
from tests.catalog.corpus import append, properties, source, spec, spoil, touch_later, write_lines

YEAR = properties(year="meta.year")


def computed(
    name: str = "size",
    function: str = "length",
    columns: tuple[str, ...] = ("text",),
    type_: PropertyType = "int64",
    version: str = "",
    **options: object,
) -> ComputedProperty:
    return ComputedProperty(name, f"tests.catalog.computing:{function}", columns, type_, options, version)


def with_computed(files: Path, *wanted: ComputedProperty, **more: object) -> Source:
    return replace(source(files / "*.jsonl", **{"wanted": YEAR, **more}), computed=wanted)


def sizes(found: list[dict[str, object]]) -> bool:
    """Whether every size is that of `sample N`, where N follows from file and row."""
    return all(row["size"] == len(f"sample {100 * int(str(row['file'])[5]) + int(str(row['row']))}") for row in found)


def test_a_function_computes_a_property_of_all_samples(catalog: Catalog, data: Path) -> None:
    web = with_computed(data, computed())
    catalog.index(spec(web))
    indexed = catalog.source(web)
    assert indexed.types == {"year": "int64", "size": "int64"}
    found = rows(catalog, web)
    assert len(found) == 126
    assert sizes(found)
    assert all(in_order(path) for path in indexed.data_files)
    assert sorted(iceberg_rows(catalog, "web", indexed.snapshot_id)["size"].to_pylist()) == sorted(
        row["size"] for row in found
    )


def test_a_function_gets_batches_of_bounded_size_over_many_files(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deriving, "MOST_ROWS", 50)
    monkeypatch.setattr(deriving, "MOST_BYTES", 6000)
    for number in range(10):
        write_lines(tmp_path / "data" / f"part-{number}.jsonl", range(100 * number, 100 * number + 30 - number))
    path = tmp_path / "data" / "part-9.jsonl"
    path.write_text('{"text": "' + "x" * 50_000 + '", "meta": {"year": 1}}\n' + path.read_text())
    log = tmp_path / "log"
    web = with_computed(tmp_path / "data", computed(log=str(log)))
    catalog.index(spec(web), workers=1)
    calls = [line.split() for line in log.read_text().splitlines()]
    assert sum(int(count) for count, _, _ in calls) == sum(range(21, 31)) + 1
    assert all(int(count) <= 50 for count, _, _ in calls)
    assert len(calls) < 12
    assert [int(count) for count, size, _ in calls if int(size) > 6000] == [1]
    assert rows(catalog, web)[-22]["size"] == 50_000


@pytest.mark.parametrize("group", [7, 100])
def test_content_of_parquet_files_is_read_too(catalog: Catalog, tmp_path: Path, group: int) -> None:
    table = pa.table({"body": pa.array([f"{'é' * (i % 5)}" for i in range(100)]).dictionary_encode(), "n": range(100)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=group)
    web = Source(
        "web",
        (str(tmp_path / "*.parquet"),),
        "parquet",
        (ContentField("text", "body"),),
        properties(n="n"),
        BadSamples(),
        YEAR[0].place,
        (computed(), computed("halves", "half", ("size",), "float64")),
    )
    catalog.index(spec(web))
    found = rows(catalog, web)
    assert [row["size"] for row in found] == [i % 5 for i in range(100)]
    assert [row["halves"] for row in found] == [None if i % 5 % 2 else i % 5 / 2 for i in range(100)]


def test_functions_see_properties_and_what_was_computed_before(catalog: Catalog, data: Path) -> None:
    web = with_computed(
        data,
        computed(factor=3),
        computed("halves", "half", ("year",), "float64"),
        computed("more", "half", ("size",), "float64"),
    )
    catalog.index(spec(web))
    for row in rows(catalog, web):
        year, size = int(str(row["year"])), int(str(row["size"]))
        assert row["halves"] == (None if year % 2 else year / 2)
        assert row["more"] == (None if size % 2 else size / 2)


def test_a_null_list_is_an_empty_one_and_options_are_json_values(catalog: Catalog, data: Path) -> None:
    what = {"a": 1, "b": [1.5], "c": {"d": None}, "e": True, "f": "é"}
    web = with_computed(
        data,
        computed("words", "words", ("text",), "list<string>"),
        computed("kinds", "said", ("text",), "string", what=what),
    )
    catalog.index(spec(web))
    for row in rows(catalog, web):
        number = 100 * int(str(row["file"])[5]) + int(str(row["row"]))
        assert row["words"] == (["sample", str(number)] if number % 2 else [])
        assert row["kinds"] == "a:int,b:list,c:dict,e:bool,f:str"


def test_several_processes_compute_and_agree(catalog: Catalog, tmp_path: Path) -> None:
    for number in range(8):
        write_lines(tmp_path / "data" / f"part-{number}.jsonl", range(100 * number, 100 * number + 30))
    web = with_computed(tmp_path / "data", computed(), computed("process", "pids", place=str(tmp_path)))
    catalog.index(spec(web), workers=3)
    found = rows(catalog, web)
    assert sizes(found)
    assert len({row["process"] for row in found}) > 1


def test_a_property_that_is_added_to_an_indexed_source_is_all_that_is_read(
    catalog: Catalog, data: Path, tmp_path: Path
) -> None:
    plain = source(data / "*.jsonl", properties(year="meta.year", tags="tags"))
    catalog.index(spec(plain))
    before = rows(catalog, plain)
    old = catalog.source(plain)
    pinned = iceberg_rows(catalog, "web", old.snapshot_id)
    log = tmp_path / "log"
    web = replace(plain, computed=(computed(log=str(log)),))
    (done,) = catalog.index(spec(web)).sources
    assert (done.new, done.changed, done.unchanged, done.columns) == (0, 0, 4, ("size",))
    assert {line.split()[2] for line in log.read_text().splitlines()} == {"text"}
    after = rows(catalog, web)
    assert sizes(after)
    assert [{name: value for name, value in row.items() if name != "size"} for row in after] == before
    assert catalog.source(web).snapshot_id != old.snapshot_id
    assert iceberg_rows(catalog, "web", old.snapshot_id).equals(pinned)
    assert all(Path(path).exists() for path in old.data_files)


def test_nothing_is_computed_when_nothing_changed(catalog: Catalog, data: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    web = with_computed(data, computed(log=str(log)))
    catalog.index(spec(web))
    snapshot, called = catalog.source(web).snapshot_id, log.read_text()
    for file in data.iterdir():
        spoil(file)
    assert catalog.index(spec(web)).indexed_files == 0
    assert catalog.source(web).snapshot_id == snapshot
    assert log.read_text() == called


def test_only_new_and_changed_files_are_computed(catalog: Catalog, data: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    web = with_computed(data, computed(log=str(log)))
    catalog.index(spec(web))
    log.unlink()
    spoil(data / "part-0.jsonl")
    touch_later(write_lines(data / "part-1.jsonl", range(100, 110)))
    (data / "part-2.jsonl").unlink()
    write_lines(data / "part-4.jsonl", range(400, 405))
    (done,) = catalog.index(spec(web)).sources
    assert (done.new, done.changed, done.gone, done.unchanged, done.columns) == (1, 1, 1, 2, ())
    assert sum(int(line.split()[0]) for line in log.read_text().splitlines()) == 15
    found = rows(catalog, web)
    assert len(found) == 30 + 10 + 33 + 5
    assert sizes(found)


@pytest.mark.parametrize(
    ("other", "again"),
    [
        (computed(version="2"), {"size"}),
        (computed(factor=2), {"size"}),
        (computed(function="texts", type_="string"), {"size"}),
        (computed(columns=("text", "year")), {"size"}),
    ],
)
def test_another_definition_computes_only_that_column(
    catalog: Catalog, data: Path, tmp_path: Path, other: ComputedProperty, again: set[str]
) -> None:
    log = tmp_path / "log"
    second = computed("second", log=str(log))
    web = with_computed(data, computed(), second)
    catalog.index(spec(web))
    log.unlink()
    changed = with_computed(data, other, second)
    with pytest.raises(CatalogError, match=r"property 'size' computed by .*, now computed by"):
        catalog.source(changed)
    (done,) = catalog.index(spec(changed)).sources
    assert set(done.columns) == again
    assert not log.exists()
    assert catalog.source(changed).types["size"] == other.type
    assert rows(catalog, changed)[0]["size"] in (8, 16, "sample 0")


def test_what_is_computed_from_a_property_is_computed_anew_with_it(catalog: Catalog, data: Path) -> None:
    halves = computed("halves", "half", ("size",), "float64")
    catalog.index(spec(with_computed(data, computed(), halves)))
    web = with_computed(data, computed(factor=4), halves)
    (done,) = catalog.index(spec(web)).sources
    assert done.columns == ("size", "halves")
    assert {row["halves"] == int(str(row["size"])) / 2 for row in rows(catalog, web)} == {True}


def test_a_plain_property_is_added_without_what_was_computed_being_computed_again(
    catalog: Catalog, data: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    size = computed(log=str(log))
    catalog.index(spec(with_computed(data, size)))
    log.unlink()
    web = with_computed(data, size, wanted=properties(year="meta.year", tags="tags", score="score"))
    (done,) = catalog.index(spec(web)).sources
    assert (done.changed, done.columns) == (0, ("tags", "score"))
    assert not log.exists()
    found = rows(catalog, web)
    assert sizes(found)
    fresh = Catalog.open(str(tmp_path / "fresh"))
    fresh.index(spec(web))
    assert [{**row, "size": 0} for row in rows(fresh, web)] == [{**row, "size": 0} for row in found]


def test_removing_a_property_reads_no_file(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(with_computed(data, computed(), wanted=properties(year="meta.year", tags="tags"))))
    for file in data.iterdir():
        spoil(file)
    web = with_computed(data)
    (done,) = catalog.index(spec(web)).sources
    assert (done.changed, done.unchanged, done.columns) == (0, 4, ())
    found = rows(catalog, web)
    assert set(found[0]) == {"file", "row", "offset", "length", "year"}
    assert [row["year"] for row in found] == [
        2000 + (100 * int(str(r["file"])[5]) + int(str(r["row"]))) % 20 for r in found
    ]
    assert set(iceberg_rows(catalog, "web", catalog.source(web).snapshot_id).column_names) >= {"year", "file_id", "row"}


def test_a_file_whose_added_property_has_a_wrong_type_loses_records_by_the_policy(catalog: Catalog, data: Path) -> None:
    append(data / "part-0.jsonl", b'{"text": "t", "meta": {"year": 1}, "score": "high"}\n')
    catalog.index(spec(with_computed(data, bad=BadSamples("quarantine"))))
    wanted = properties(year="meta.year", score=("score", "float64"))
    with pytest.raises(SampleError, match=r"part-0.jsonl:31: .*score"):
        catalog.index(spec(with_computed(data, wanted=wanted)))
    assert catalog.state("web").definition.types == {"year": "int64"}
    web = with_computed(data, computed(), wanted=wanted, bad=BadSamples("quarantine"))
    report = catalog.index(spec(web))
    assert (report.samples, report.quarantined, report.sources[0].changed) == (126, 1, 0)
    assert catalog.quarantine("web")["row"].to_pylist() == [30]
    assert [row["score"] for row in rows(catalog, web) if row["file"] == "part-0.jsonl"] == [n / 7 for n in range(30)]
    again = with_computed(data, computed(), bad=BadSamples("quarantine"))
    (done,) = catalog.index(spec(again)).sources
    assert (done.changed, done.samples, done.quarantined) == (1, 127, 0)


NO_MODULE = "source 'web': property 'size': there is no module 'no_such_module' among the installed packages"
RAISED = r"'size': tests.catalog.computing:fails_at raised KeyError: 'cannot use\\nsample 107', for the rows "
FAILURES = [
    (ComputedProperty("size", "no_such_module:f", ("text",), "int64"), PluginError, NO_MODULE),
    (computed(function="lenght"), PluginError, "has no function 'lenght'; it has: a_list, fails_at,"),
    (computed(function="fails_at", text="sample 107"), SampleError, RAISED),
    (computed(function="one_short"), SampleError, "returned .* values for .* samples; it must return one for each"),
    (computed(function="texts"), SampleError, "values of type string, and the property is declared as int64"),
    (computed(type_="float64"), SampleError, "type int64, and the property is declared as float64"),
    (computed(function="too_large"), SampleError, "returned values that do not fit int64: "),
    (computed(function="a_list"), SampleError, "returned list; it must return a pyarrow or numpy array"),
    (computed(function="words"), SampleError, "type list<item: string>, and the property is declared as int64"),
]


@pytest.mark.parametrize(("wanted", "kind", "expected"), FAILURES, ids=[wanted.function for wanted, _, _ in FAILURES])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_function_that_does_not_do_it(
    catalog: Catalog, data: Path, wanted: ComputedProperty, kind: type[MixteraError], expected: str, workers: int
) -> None:
    plain = with_computed(data)
    catalog.index(spec(plain))
    before = rows(catalog, plain)
    files = catalog.data_files("web")
    with pytest.raises(kind, match=expected) as caught:
        catalog.index(spec(with_computed(data, wanted)), workers=workers)
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    assert rows(catalog, plain) == before
    assert catalog.data_files("web") == files
    catalog.index(spec(plain))
    assert list(catalog.path.rglob("run.json")) == []


def test_options_that_are_no_json_values(catalog: Catalog, data: Path) -> None:
    with pytest.raises(CatalogError, match="property 'size': the options are no JSON values"):
        catalog.index(spec(with_computed(data, computed(what=object()))))


def test_a_file_that_changes_while_it_is_computed_is_refused(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(with_computed(data)))
    web = with_computed(data, ComputedProperty("size", "tests.catalog.test_computed:_spoiling", ("text",), "int64",
                                               {"path": str(data / "part-1.jsonl")}))  # fmt: skip
    with pytest.raises(StorageError, match=r"part-1.jsonl changed while it was indexed"):
        catalog.index(spec(web), workers=1)
    assert catalog.state("web").definition.types == {"year": "int64"}


def _spoiling(batch: pa.RecordBatch, *, path: str) -> pa.Array:
    touch_later(Path(path))
    return pa.array(range(batch.num_rows), pa.int64())


class TestColumnsThatNoSpecNames:
    """What the program adds for itself: it stays when the catalog is indexed by a spec that knows nothing of it."""

    def test_they_survive_an_index_by_another_spec(self, catalog: Catalog, data: Path, tmp_path: Path) -> None:
        log = tmp_path / "log"
        plain, hidden = spec(with_computed(data)), computed("_tokens_1a", log=str(log))
        asked = plain.with_computed([("web", hidden), ("other", computed("_none"))])
        assert asked.sources[0].property_names == ("year", "_tokens_1a")
        catalog.index(asked)
        assert catalog.source(asked.sources[0]).types == {"year": "int64", "_tokens_1a": "int64"}
        log.unlink()
        assert catalog.index(plain).sources[0].columns == ()
        assert not log.exists()
        other = spec(with_computed(data, wanted=properties(tags="tags")))
        assert catalog.index(other).sources[0].columns == ("tags",)
        assert not log.exists()
        assert catalog.source(other.sources[0]).types == {"tags": "list<string>"}
        second = other.with_computed([("web", computed("_tokens_2b", factor=2)), ("web", hidden)])
        assert catalog.index(second).sources[0].columns == ("_tokens_2b",)
        assert not log.exists()
        assert {row["_tokens_1a"] * 2 == row["_tokens_2b"] for row in rows(catalog, second.sources[0])} == {True}

    def test_new_files_get_them_whoever_indexes(self, catalog: Catalog, data: Path) -> None:
        plain = spec(with_computed(data))
        catalog.index(plain.with_computed([("web", computed("_size"))]))
        write_lines(data / "part-7.jsonl", range(700, 703))
        catalog.index(plain)
        found = rows(catalog, plain.sources[0])
        assert [row["_size"] for row in found if row["file"] == "part-7.jsonl"] == [len("sample 700")] * 3

    def test_they_go_when_what_they_are_computed_from_goes(self, catalog: Catalog, data: Path) -> None:
        catalog.index(
            spec(with_computed(data)).with_computed([("web", computed("_size", "half", ("year",), "float64"))])
        )
        web = with_computed(data, wanted=properties(tags="tags"))
        catalog.index(spec(web))
        assert catalog.state("web").definition.types == {"tags": "list<string>"}


def test_a_catalog_of_a_version_that_knew_no_computed_properties_is_read(catalog: Catalog, data: Path) -> None:
    web = with_computed(data)
    catalog.index(spec(web))
    for path in catalog.path.rglob("*.metadata.json"):
        text = path.read_text()
        assert '\\"computed\\":[],\\"sidecars\\":[]' in text or "samples" in str(path)
        path.write_text(text.replace(',\\"computed\\":[],\\"sidecars\\":[]', ""))
    assert catalog.source(web).rows == 126
    assert catalog.index(spec(web)).indexed_files == 0
    shutil.rmtree(data)


def test_the_compiler_asks_the_engine_for_them_like_for_any_property(catalog: Catalog, data: Path) -> None:
    asked = spec(with_computed(data, computed())).with_computed([("web", computed("_tokens", factor=2))])
    catalog.index(asked)
    asked = replace(asked, mixture=Mixture("samples", Grouped(("year",), Natural(), YEAR[0].place), "stop", None))
    plans = optimised(build(asked, [catalog.source(source) for source in asked.sources], ["_tokens"]))
    with session("duckdb", plans) as engine:
        table = pa.Table.from_batches(engine.batches(lower(plans[0].plan)))
    assert table.num_rows == 126
    assert set(table["_tokens"].to_pylist()) == {16, 18, 20}
    keys = (SortKey("_tokens", True, "_tokens", YEAR[0].place),)
    plan = mixtera.compile(replace(asked, order=replace(asked.order, by=keys)), catalog)
    found = catalog.state("web").files
    names = dict(zip(found["file_id"].to_pylist(), found["name"].to_pylist(), strict=True))
    sample = plan.samples(0, 126)["sample"].to_pylist()
    assert len({(names[number >> 31], number & (1 << 31) - 1) for number in sample}) == 126


def test_a_column_that_the_source_does_not_have(catalog: Catalog, data: Path) -> None:
    asked = spec(with_computed(data)).with_computed([("web", computed("_size", columns=("text", "txet")))])
    with pytest.raises(CatalogError, match="property '_size' is computed from 'txet', which is no column before it"):
        catalog.index(asked)


def test_a_module_that_was_edited_is_imported_again_in_the_same_process(
    catalog: Catalog, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for version, value in enumerate((1, 22, 333)):
        (tmp_path / "edited_measure.py").write_text(
            f"import numpy as np\ndef one(batch):\n    return np.full(batch.num_rows, {value}, 'i8')\n"
        )
        web = with_computed(data, ComputedProperty("size", "edited_measure:one", ("text",), "int64", {}, str(version)))
        catalog.index(spec(web))
        assert {row["size"] for row in rows(catalog, web)} == {value}


def test_a_file_added_every_day_does_not_leave_a_parquet_file_per_day(catalog: Catalog, tmp_path: Path) -> None:
    web = with_computed(tmp_path / "data", computed())
    for day in range(20):
        write_lines(
            tmp_path / "data" / f"part-{day % 10}{day // 10}.jsonl", range(100 * (day % 10), 100 * (day % 10) + 3)
        )
        catalog.index(spec(web))
    assert len(catalog.source(web).data_files) < 20
    assert len(rows(catalog, web)) == 60
    assert sizes(rows(catalog, web))
    assert {path.parent.name for path in catalog.path.rglob("*.json") if path.name == "run.json"} == set()


def test_modules_of_one_name_beside_two_specs(tmp_path: Path) -> None:
    from mixtera.catalog.functions import call_of

    column = ComputedColumn("size", "same_name:size", ("text",), "int64", "{}", "")
    for number in (1, 2, 1):
        folder = tmp_path / str(number)
        folder.mkdir(exist_ok=True)
        (folder / "same_name.py").write_text(f"def size(batch):\n    return {number}\n")
        assert call_of("web", column, [str(folder)]).function(None) == number
