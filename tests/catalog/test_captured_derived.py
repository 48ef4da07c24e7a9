"""Properties that paths say, together with what is added to an indexed source: captures, functions, sidecars."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from mixtera.catalog import Catalog
from mixtera.errors import CatalogError, SampleError, SpecError
from mixtera.formats.framed import stream
from mixtera.registry import format_named
from mixtera.spec.model import BadSamples, ComputedProperty, Property, Sidecar, Source
from tests.catalog.contents import rows
from tests.catalog.corpus import HERE, append, spec, spoil, touch_later
from tests.catalog.test_captured import captured, write
from tests.catalog.test_computed import computed

NUMBER = Property("n", "n", "int64", HERE)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for language in ("en", "de"):
        for year in (2020, 2021):
            write(tmp_path / "data" / language / str(year) / "x.jsonl", 10)
    return tmp_path / "data"


def plain(data: Path, *more: Property) -> Source:
    return captured(data / "*" / "*" / "*.jsonl", more=more)


def with_year(data: Path, *more: Property, name: str = "year") -> Source:
    year = Property(name, "{year}", "int64", HERE)
    return replace(captured(data / "*" / "{year}" / "*.jsonl"), properties=(year, *more))


def deriving(web: Source, *functions: ComputedProperty, sidecars: tuple[Sidecar, ...] = ()) -> Source:
    return replace(web, computed=functions, sidecars=sidecars)


def years(catalog: Catalog, web: Source, column: str = "year") -> set[tuple[int, Any]]:
    return {(int(str(row["file"]).split("/")[1]), row[column]) for row in rows(catalog, web)}


def test_a_capture_that_is_added_reads_no_file(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(plain(data, NUMBER)))
    before = rows(catalog, plain(data, NUMBER))
    for path in data.rglob("*.jsonl"):
        spoil(path)
    (report,) = catalog.index(spec(with_year(data, NUMBER))).sources
    assert (report.new, report.changed, report.bytes, report.columns) == (0, 0, 0, ("year",))
    assert years(catalog, with_year(data, NUMBER)) == {(2020, 2020), (2021, 2021)}
    assert [row | {"year": None} for row in rows(catalog, with_year(data, NUMBER))] == [
        row | {"year": None} for row in before
    ]
    (again,) = catalog.index(spec(with_year(data, NUMBER))).sources
    assert (again.columns, again.snapshot_id) == ((), report.snapshot_id)
    assert catalog.index(spec(plain(data, NUMBER))).sources[0].columns == (), "one that is taken out reads none either"
    assert catalog.source(plain(data, NUMBER)).types == {"n": "int64"}


def test_a_capture_and_a_property_of_records_are_added_at_once(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(plain(data)))
    (report,) = catalog.index(spec(with_year(data, NUMBER))).sources
    assert (report.changed, set(report.columns)) == (0, {"year", "n"})
    assert years(catalog, with_year(data, NUMBER)) == {(2020, 2020), (2021, 2021)}
    assert sorted(row["n"] for row in rows(catalog, with_year(data, NUMBER))) == sorted([*range(10)] * 4)


def test_a_capture_of_another_type_or_name_is_made_anew(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(with_year(data)))
    text = captured(data / "*" / "{year}" / "*.jsonl", year="string")
    assert catalog.index(spec(text)).sources[0].columns == ("year",)
    assert years(catalog, text) == {(2020, "2020"), (2021, "2021")}
    assert catalog.index(spec(with_year(data, name="when"))).sources[0].columns == ("when",)
    assert years(catalog, with_year(data, name="when"), "when") == {(2020, 2020), (2021, 2021)}


def test_a_path_that_is_of_no_such_type_changes_nothing(catalog: Catalog, data: Path) -> None:
    write(data / "en" / "latest" / "x.jsonl")
    catalog.index(spec(plain(data)))
    with pytest.raises(SpecError, match=r"latest/x\.jsonl: property 'year': its path has 'latest', which is no int64"):
        catalog.index(spec(with_year(data)))
    assert catalog.source(plain(data)).types == {}


def test_a_function_computes_from_a_capture_and_again_when_that_is_another(catalog: Catalog, data: Path) -> None:
    half = computed("half", "half", ("year",), type_="float64")
    web = deriving(with_year(data), half)
    assert catalog.index(spec(web)).samples == 40
    assert years(catalog, web, "half") == {(2020, 1010.0), (2021, None)}
    for path in data.rglob("*.jsonl"):
        spoil(path)
    swapped = replace(
        web, paths=(str(data / "{language}" / "{year}" / "*.jsonl"),), properties=(*web.properties, LANGUAGE)
    )
    assert set(catalog.index(spec(swapped)).sources[0].columns) == {"year", "half", "language"}
    assert years(catalog, swapped, "half") == {(2020, 1010.0), (2021, None)}
    assert years(catalog, swapped) == {(2020, 2020), (2021, 2021)}


LANGUAGE = Property("language", "{language}", "string", HERE)


def scores(path: Path, years: dict[int, float]) -> Sidecar:
    pq.write_table(pa.table({"year": [*years], "score": [*years.values()]}), path)
    return Sidecar((str(path),), (("year", "year"),), (Property("score", "score", None, HERE),), HERE)


def test_a_sidecar_is_joined_on_a_capture(catalog: Catalog, data: Path, tmp_path: Path) -> None:
    side = scores(tmp_path / "scores.parquet", {2021: 0.5, 1999: 1.0})
    web = deriving(with_year(data), sidecars=(side,))
    (report,) = catalog.index(spec(web)).sources
    assert [(found.samples, found.unmatched) for found in report.unmatched] == [(40, 20)]
    assert years(catalog, web, "score") == {(2020, None), (2021, 0.5)}
    write(data / "fr" / "2021" / "x.jsonl", 1)
    assert catalog.index(spec(web)).indexed_files == 1
    assert {str(row["file"]): row["score"] for row in rows(catalog, web)}["fr/2021/x.jsonl"] == 0.5


def test_a_sidecar_on_a_capture_is_added_with_it_and_no_file_is_read(
    catalog: Catalog, data: Path, tmp_path: Path
) -> None:
    catalog.index(spec(plain(data)))
    for path in data.rglob("*.jsonl"):
        spoil(path)
    web = deriving(with_year(data), sidecars=(scores(tmp_path / "scores.parquet", {2020: 0.25}),))
    assert set(catalog.index(spec(web)).sources[0].columns) == {"year", "score"}
    assert years(catalog, web, "score") == {(2020, 0.25), (2021, None)}


def test_a_sidecar_that_no_captured_value_is_in_is_an_error(catalog: Catalog, data: Path, tmp_path: Path) -> None:
    web = deriving(with_year(data), sidecars=(scores(tmp_path / "scores.parquet", {1: 0.25}),))
    with pytest.raises(CatalogError, match="none of its 40 samples is in the sidecar"):
        catalog.index(spec(web))
    assert catalog.sources() == ()


def test_files_with_bad_records_are_not_read_again_for_a_capture(catalog: Catalog, data: Path) -> None:
    append(data / "en" / "2020" / "x.jsonl", b"no record\n")
    skipping = BadSamples("skip")
    catalog.index(spec(replace(plain(data), on_bad_sample=skipping)))
    (report,) = catalog.index(spec(replace(with_year(data), on_bad_sample=skipping))).sources
    assert (report.changed, report.skipped, report.samples) == (0, 1, 40)


def test_a_function_that_fails_after_a_capture_leaves_the_catalog_as_it_was(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(plain(data)))
    failing = computed("bad", "fails_at", ("text",), text="sample 3")
    with pytest.raises(SampleError, match="KeyError"):
        catalog.index(spec(deriving(with_year(data), failing)))
    assert catalog.source(plain(data)).types == {}


@pytest.mark.parametrize("workers", [1, 2])
def test_verify_compares_what_files_and_paths_say(workers: int, catalog: Catalog, data: Path, tmp_path: Path) -> None:
    tokens = computed("_tokens_0123456789abcdef", "length", ("text",))
    half = computed("half", "half", ("year",), type_="float64")
    side = scores(tmp_path / "scores.parquet", {2021: 0.5})
    full = deriving(with_year(data, NUMBER), half, tokens, sidecars=(side,))
    catalog.index(spec(full))
    web = deriving(with_year(data, NUMBER), half, sidecars=(side,))
    assert catalog.index(spec(web)).sources[0].columns == (), "counts of tokens stay"
    assert "_tokens_0123456789abcdef" in catalog.state("web").definition.types
    (found,) = catalog.verify(spec(web), workers=workers)
    assert (found.files, found.samples, found.differences) == (4, 40, ())
    path = data / "de" / "2021" / "x.jsonl"
    time = path.stat().st_mtime_ns
    path.write_text(path.read_text().replace('"n": 3', '"n": 4'))
    os.utime(path, ns=(time, time))
    (found,) = catalog.verify(spec(web), workers=workers)
    assert [(one.file, one.row, one.what) for one in found.differences] == [
        ("de/2021/x.jsonl", 3, "n 3 in the catalog, 4 now")
    ]


def test_kept_counts_of_tokens_survive_another_capture(catalog: Catalog, data: Path) -> None:
    tokens = computed("_tokens_0123456789abcdef", "length", ("text",))
    catalog.index(spec(deriving(plain(data), tokens)))
    for path in data.rglob("*.jsonl"):
        spoil(path)
    assert catalog.index(spec(with_year(data))).sources[0].columns == ("year",)
    assert "_tokens_0123456789abcdef" in catalog.state("web").definition.types
    again = deriving(with_year(data), tokens)
    assert catalog.index(spec(again)).sources[0].columns == ()
    assert {row["_tokens_0123456789abcdef"] for row in rows(catalog, again)} == {8}


def test_a_changed_file_gets_its_capture_and_what_depends_on_it(catalog: Catalog, data: Path) -> None:
    web = deriving(with_year(data), computed("half", "half", ("year",), type_="float64"))
    catalog.index(spec(web))
    append(data / "de" / "2020" / "x.jsonl", b'{"text": "more"}\n')
    touch_later(data / "de" / "2020" / "x.jsonl")
    assert catalog.index(spec(web)).indexed_files == 1
    assert years(catalog, web, "half") == {(2020, 1010.0), (2021, None)}
    assert len(rows(catalog, web)) == 41


def test_what_was_added_is_on_the_disk_when_it_is_committed(
    catalog: Catalog, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.index(spec(plain(data)))
    flushed: set[str] = set()
    fsync = os.fsync

    def noted(file: int) -> None:
        flushed.add(str(Path(f"/proc/self/fd/{file}").readlink()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", noted)
    web = deriving(with_year(data), computed())
    write(data / "fr" / "2021" / "x.jsonl", 1)
    catalog.index(spec(web), workers=1)
    made = set(catalog.source(web).data_files)
    assert len({Path(path).parent for path in made}) == 1
    assert made <= flushed
    assert {str(Path(path).parent) for path in made} <= flushed


def test_content_of_compressed_files_is_computed_from_at_their_frames(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f'{{"text": "{"x" * (n % 50)}", "n": {n}}}\n'.encode() for n in range(4000)]
    pieces = [b"".join(lines[n : n + 500]) for n in range(0, 4000, 500)]
    monkeypatch.setattr(stream, "SMALLEST_BYTES", 1000)
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(b"".join(zstandard.compress(piece) for piece in pieces))
    web = captured(path, more=(NUMBER,))
    catalog.index(spec(web))
    assert len(catalog.state("web").files["frames"][0].as_py()) > 2

    def no_copy(*_: object) -> None:
        raise AssertionError("decompressed as a whole")

    monkeypatch.setattr(type(format_named("jsonl")), "reader", no_copy)
    sized = deriving(web, computed())
    assert catalog.index(spec(sized), workers=1).sources[0].columns == ("size",)
    assert all(row["size"] == row["n"] % 50 for row in rows(catalog, sized))
    other = write(tmp_path / "more" / "b.jsonl", 1)
    new = replace(deriving(captured(path, other, more=(NUMBER,)), computed(version="2")))
    monkeypatch.undo()
    assert catalog.index(spec(new), workers=1).sources[0].columns == ("size",)
