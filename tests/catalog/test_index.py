from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from mixtera.catalog import Catalog
from mixtera.catalog.columns import ROW_GROUP_ROWS
from mixtera.errors import SampleError, SpecError, StorageError
from mixtera.spec.model import BadSamples
from tests.catalog.contents import in_order, rows
from tests.catalog.corpus import ALL, append, properties, record, source, spec, spoil, touch_later, write_lines


def test_every_sample_is_there_with_its_properties_and_the_bytes_of_its_record(catalog: Catalog, data: Path) -> None:
    web = source(data / "*.jsonl")
    report = catalog.index(spec(web))
    assert (report.files, report.samples, report.skipped, report.quarantined) == (4, 126, 0, 0)
    found = rows(catalog, web)
    assert len(found) == 126
    for row in found:
        raw = (data / str(row["file"])).read_bytes()[row["offset"] : row["offset"] + row["length"]]
        value = json.loads(raw)
        assert value["text"] == f"sample {100 * int(row['file'][5]) + row['row']}"
        assert row["language"] == value["meta"]["language"]
        assert (row["year"], row["tags"], row["score"]) == (value["meta"]["year"], value["tags"], value["score"])


def test_an_indexed_source_describes_its_files(catalog: Catalog, data: Path) -> None:
    web = source(data / "*.jsonl")
    catalog.index(spec(web))
    indexed = catalog.source(web)
    assert indexed.types == {"language": "string", "year": "int64", "tags": "list<string>", "score": "float64"}
    assert indexed.rows == 126
    assert indexed.files["name"].to_pylist() == [f"part-{number}.jsonl" for number in range(4)]
    assert indexed.files["rows"].to_pylist() == [30, 31, 32, 33]
    assert indexed.files["url"].to_pylist() == [str(data / f"part-{number}.jsonl") for number in range(4)]
    assert indexed.files["size"].to_pylist() == [(data / f"part-{number}.jsonl").stat().st_size for number in range(4)]
    assert len(set(indexed.files["file_id"].to_pylist())) == 4
    assert all(in_order(path) for path in indexed.data_files)


def test_work_is_noted_down_only_when_it_is_on_the_disk(
    catalog: Catalog, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    fsync = os.fsync

    def noted(file: int) -> None:
        path = Path(f"/proc/self/fd/{file}").readlink()
        note = path.with_suffix(".json")
        assert path.suffix != ".parquet" or not note.exists(), "a run that comes after this would take it for finished"
        fsync(file)
        flushed.append(str(path))

    monkeypatch.setattr(os, "fsync", noted)
    for workers, name in enumerate(("web", "books"), 1):
        web = source(data / "*.jsonl", name=name)
        catalog.index(spec(web), workers=workers)
        made = catalog.source(web).data_files
        assert len(made) == 4
        assert set(made) <= set(flushed)
        assert str(Path(made[0]).parent / "files.parquet") in flushed


@pytest.mark.parametrize("workers", [1, 2])
def test_what_does_not_get_to_the_disk_is_named_and_nothing_is_committed(
    catalog: Catalog, data: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    web = source(data / "*.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"cannot write .*\.parquet: No space left on device; the catalog is as"):
            catalog.index(spec(web), workers=workers)
    assert catalog.sources() == ()
    assert not [note for note in catalog.path.rglob("*.json") if note.name not in ("run.json", "catalog.json")]
    assert catalog.index(spec(web)).samples == 126


def test_nothing_is_read_or_committed_when_nothing_changed(catalog: Catalog, data: Path) -> None:
    web = source(data / "*.jsonl")
    catalog.index(spec(web))
    before = catalog.source(web).snapshot_id
    for file in data.iterdir():
        spoil(file)
    report = catalog.index(spec(web))
    assert report.indexed_files == 0
    assert report.samples == 126
    assert catalog.source(web).snapshot_id == before


def test_only_new_and_changed_files_are_read_and_gone_ones_leave(catalog: Catalog, data: Path) -> None:
    web = source(data / "*.jsonl")
    catalog.index(spec(web))
    ids = dict(zip(*(catalog.source(web).files[c].to_pylist() for c in ("name", "file_id")), strict=True))
    spoil(data / "part-0.jsonl")
    touch_later(write_lines(data / "part-1.jsonl", range(500, 510)))
    (data / "part-2.jsonl").unlink()
    write_lines(data / "part-9.jsonl", range(900, 905))
    (done,) = catalog.index(spec(web)).sources
    assert (done.new, done.changed, done.gone, done.unchanged) == (1, 1, 1, 2)
    assert done.samples == 30 + 10 + 33 + 5
    found = rows(catalog, web)
    assert [row["file"] for row in found] == ["part-0.jsonl"] * 30 + ["part-1.jsonl"] * 10 + ["part-3.jsonl"] * 33 + [
        "part-9.jsonl"
    ] * 5
    assert [row["year"] for row in found if row["file"] == "part-1.jsonl"] == [
        record(number)["meta"]["year"] for number in range(500, 510)
    ]
    now = dict(zip(*(catalog.source(web).files[c].to_pylist() for c in ("name", "file_id")), strict=True))
    assert all(now[name] == ids[name] for name in ("part-0.jsonl", "part-1.jsonl", "part-3.jsonl"))
    assert all(in_order(path) for path in catalog.source(web).data_files)


def test_no_snapshot_has_delete_files(catalog: Catalog, data: Path) -> None:
    web = source(data / "*.jsonl")
    catalog.index(spec(web))
    (data / "part-2.jsonl").unlink()
    catalog.index(spec(web))
    table = catalog._tables.load("web", "samples")
    assert table is not None
    assert all(not task.delete_files for task in table.scan().plan_files())
    assert {Path(catalog._tables.path(task.file.file_path)) for task in table.scan().plan_files()} == set(
        map(Path, catalog.source(web).data_files)
    )


def test_a_file_added_every_day_does_not_leave_a_parquet_file_per_day(catalog: Catalog, tmp_path: Path) -> None:
    web = source(tmp_path / "days" / "*.jsonl")
    for day in range(20):
        write_lines(tmp_path / "days" / f"{day:02}.jsonl", range(day, day + 3))
        catalog.index(spec(web))
    indexed = catalog.source(web)
    assert len(indexed.data_files) < 20
    assert len(rows(catalog, web)) == 60
    assert all(in_order(path) for path in indexed.data_files)
    assert indexed.rows < ROW_GROUP_ROWS


def test_files_that_moved_are_not_read_again(catalog: Catalog, data: Path, tmp_path: Path) -> None:
    catalog.index(spec(source(data / "*.jsonl")))
    before = rows(catalog, source(data / "*.jsonl"))
    moved = data.rename(tmp_path / "elsewhere")
    for file in moved.iterdir():
        spoil(file)
    web = source(moved / "*.jsonl")
    assert catalog.index(spec(web)).indexed_files == 0
    assert catalog.source(web).files["url"].to_pylist()[0] == str(moved / "part-0.jsonl")
    assert rows(catalog, web) == before


def test_another_property_is_read_for_the_rows_that_are_there(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(source(data / "*.jsonl")))
    web = source(data / "*.jsonl", properties(language="meta.language", year=("score", "float64")))
    (done,) = catalog.index(spec(web)).sources
    assert (done.changed, done.unchanged, done.columns) == (0, 4, ("year",))
    assert catalog.source(web).types == {"language": "string", "year": "float64"}
    found = rows(catalog, web)
    assert [row["year"] for row in found] == [(100 * int(row["file"][5]) + row["row"]) / 7 for row in found]
    assert {row["language"] for row in found} == {"en", "de", "fr"}


def test_writing_down_the_type_that_was_inferred_reads_nothing_again(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(source(data / "*.jsonl", properties(year="meta.year"))))
    web = source(data / "*.jsonl", properties(year=("meta.year", "int64")))
    assert catalog.index(spec(web)).indexed_files == 0


def test_a_property_that_no_record_has_is_an_error_at_its_place(catalog: Catalog, data: Path) -> None:
    with pytest.raises(SpecError, match=r"spec.yaml:3:5: property 'lang'.*'meta.lang'.*declare its type"):
        catalog.index(spec(source(data / "*.jsonl", properties(lang="meta.lang"))))
    assert catalog.sources() == ()


def test_several_sources_are_indexed_and_reported_apart(catalog: Catalog, data: Path) -> None:
    first, second = source(data / "part-[01].jsonl", name="a.b"), source(data / "part-[23].jsonl", name="c d/é")
    report = catalog.index(spec(first, second))
    assert [done.source for done in report.sources] == ["a.b", "c d/é"]
    assert [catalog.source(part).rows for part in (first, second)] == [61, 65]
    assert catalog.sources() == ("a.b", "c d/é")


def test_files_of_one_name_are_refused_because_their_identity_would_be_one(catalog: Catalog, tmp_path: Path) -> None:
    first = write_lines(tmp_path / "a" / "x.jsonl", range(5))
    second = write_lines(tmp_path / "b" / "x.jsonl", range(6))
    both = source([tmp_path / "a" / "*.jsonl", tmp_path / "b" / "*.jsonl"])
    said = (
        rf"^spec.yaml:3:5: .*{first} and {second} have the same name, 'x.jsonl'.*{tmp_path}/\*\*/\*.jsonl, or make two"
    )
    with pytest.raises(SpecError, match=said):
        catalog.index(spec(both))
    assert catalog.sources() == ()
    one = source(tmp_path / "**" / "*.jsonl")
    catalog.index(spec(one))
    assert catalog.source(one).files["name"].to_pylist() == ["a/x.jsonl", "b/x.jsonl"]


def test_a_glob_that_matches_nothing_is_an_error_and_leaves_the_catalog_alone(catalog: Catalog, data: Path) -> None:
    with pytest.raises(StorageError, match=r"\*\.json"):
        catalog.index(spec(source(data / "*.json")))
    assert catalog.sources() == ()


@pytest.mark.parametrize("workers", [1, 3])
def test_the_content_of_the_catalog_does_not_depend_on_the_number_of_workers(
    tmp_path: Path, data: Path, workers: int
) -> None:
    web = source(data / "*.jsonl")
    one, other = Catalog.open(str(tmp_path / "one")), Catalog.open(str(tmp_path / "other"))
    one.index(spec(web))
    other.index(spec(web), workers=workers)
    assert rows(one, web) == rows(other, web)
    here, there = (found.source(web).files.drop_columns("data_file") for found in (one, other))
    assert here.equals(there)
    one.close()
    other.close()


def test_a_source_without_properties_and_a_file_without_records(catalog: Catalog, tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", range(2))
    (tmp_path / "b.jsonl").write_bytes(b"")
    web = source(tmp_path / "*.jsonl", ())
    assert catalog.index(spec(web)).samples == 2
    assert catalog.source(web).files["rows"].to_pylist() == [2, 0]


def test_a_source_whose_files_are_all_empty(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"")
    web = source(tmp_path / "*.jsonl", ())
    assert catalog.index(spec(web)).samples == 0
    indexed = catalog.source(web)
    assert (indexed.data_files, indexed.rows, len(indexed.files)) == ((), 0, 1)


class TestBadRecords:
    @pytest.fixture
    def bad(self, data: Path) -> Path:
        lines = (data / "part-1.jsonl").read_bytes().splitlines()
        lines[4] = b'{"text": "cut'
        lines[9] = b'{"txt": "no content"}'
        (data / "part-1.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        return data

    def test_fail_names_file_line_reason_and_excerpt_and_commits_nothing(self, catalog: Catalog, bad: Path) -> None:
        with pytest.raises(SampleError) as caught:
            catalog.index(spec(source(bad / "*.jsonl")))
        message = str(caught.value)
        assert "source 'web': " in message
        assert "2 records cannot be used" in message
        assert "part-1.jsonl:5: " in message
        assert '{"text": "cut' in message
        assert "part-1.jsonl:10: " in message
        assert "on_bad_sample: skip" in message
        assert catalog.sources() == ()

    def test_skip_leaves_them_out_and_counts_them(self, catalog: Catalog, bad: Path) -> None:
        web = source(bad / "*.jsonl", bad=BadSamples("skip"))
        report = catalog.index(spec(web))
        assert (report.samples, report.skipped, report.quarantined) == (124, 2, 0)
        assert [row["row"] for row in rows(catalog, web) if row["file"] == "part-1.jsonl"] == [
            row for row in range(31) if row not in (4, 9)
        ]
        assert catalog.source(web).files["rows"].to_pylist() == [30, 31, 32, 33]

    def test_quarantine_writes_them_down(self, catalog: Catalog, bad: Path) -> None:
        report = catalog.index(spec(source(bad / "*.jsonl", bad=BadSamples("quarantine"))))
        assert (report.samples, report.skipped, report.quarantined) == (124, 0, 2)
        first, second = catalog.quarantine("web").to_pylist()
        assert (first["file"], first["row"], first["excerpt"]) == ("part-1.jsonl", 4, '{"text": "cut')
        assert (second["row"], second["excerpt"]) == (9, '{"txt": "no content"}')
        raw = (bad / "part-1.jsonl").read_bytes()
        assert raw[second["offset"] :].startswith(b'{"txt"')

    def test_quarantine_follows_its_files(self, catalog: Catalog, bad: Path) -> None:
        web = source(bad / "*.jsonl", bad=BadSamples("quarantine"))
        catalog.index(spec(web))
        append(write_lines(bad / "part-5.jsonl", range(3)), b"nonsense\n")
        catalog.index(spec(web))
        assert [row["file"] for row in catalog.quarantine("web").to_pylist()] == ["part-1.jsonl"] * 2 + ["part-5.jsonl"]
        touch_later(write_lines(bad / "part-1.jsonl", range(31)))
        assert catalog.index(spec(web)).quarantined == 1
        assert [row["file"] for row in catalog.quarantine("web").to_pylist()] == ["part-5.jsonl"]

    @pytest.mark.parametrize("limit", [BadSamples("skip", max_count=1), BadSamples("quarantine", max_fraction=0.01)])
    def test_more_than_the_limit_is_an_error_and_commits_nothing(
        self, catalog: Catalog, bad: Path, limit: BadSamples
    ) -> None:
        with pytest.raises(SampleError, match=r"(the limit is 1;|2 of 126 records .* a fraction of 0.01)"):
            catalog.index(spec(source(bad / "*.jsonl", bad=limit)))
        assert catalog.sources() == ()

    def test_the_limit_counts_records_of_earlier_runs_too(self, catalog: Catalog, bad: Path) -> None:
        web = source(bad / "*.jsonl", bad=BadSamples("skip", max_count=2))
        catalog.index(spec(web))
        (bad / "part-7.jsonl").write_bytes(b"nonsense\n")
        with pytest.raises(SampleError, match=r"3 records cannot be used, and the limit is 2"):
            catalog.index(spec(web))
        assert len(catalog.source(web).files) == 4

    def test_another_policy_reads_only_files_with_bad_records_again(self, catalog: Catalog, bad: Path) -> None:
        catalog.index(spec(source(bad / "*.jsonl", bad=BadSamples("skip"))))
        spoil(bad / "part-0.jsonl")
        report = catalog.index(spec(source(bad / "*.jsonl", bad=BadSamples("quarantine"))))
        assert (report.indexed_files, report.skipped, report.quarantined) == (1, 0, 2)
        with pytest.raises(SampleError, match=r"part-1.jsonl:5"):
            catalog.index(spec(source(bad / "*.jsonl", ALL)))
