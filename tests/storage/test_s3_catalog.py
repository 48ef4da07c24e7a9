"""A catalog on S3, as users of several machines work with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyiceberg.table import StaticTable

import mixtera
from mixtera.errors import CatalogError, StorageError
from tests.catalog.corpus import append, touch_later, write_lines
from tests.existing.made import keep, make, tabled
from tests.storage.machines import Shared, machine
from tests.storage.objects import Objects, new_root
from tests.storage.weed import KEY, SECRET, Weed

MORE = """\
version: 1
name: shared
sources:
  web:
    path: {data}/web/*.jsonl
    content: text
    properties:
      language: meta.language
      year: meta.year
      tags: tags
      score: score
      size: {{compute: "sizes:size", columns: text, type: int64}}
    sidecars: [{{path: {data}/quality.csv, on: {{year: year}}, properties: {{quality: quality}}}}]
    on_bad_sample: quarantine
mixture: {{by: [language], weights: natural}}
"""
MODULE = "import pyarrow.compute as pc\ndef size(batch):\n    return pc.utf8_length(batch.column(0)).cast('int64')\n"


@pytest.fixture
def shared(tmp_path: Path, s3: Weed) -> Shared:
    for number in range(4):
        write_lines(tmp_path / "web" / f"{number}.jsonl", range(1000 * number, 1000 * number + 300))
    return Shared(tmp_path)


def test_the_commands_of_many_machines(shared: Shared, objects: Objects, tmp_path: Path) -> None:
    spec = str(shared.spec("spec"))
    assert f"no catalog at {shared.url}: run `mixtera index SPEC`" in shared.run("a", "catalog", "ls", code=1)
    assert "4 files read" in shared.run("a", "index", spec)
    assert "0 files read" in shared.run("b", "index", spec)
    assert "4 files" in shared.run("b", "index", spec, "--verify")
    assert [row["samples"] for row in json.loads(shared.run("c", "catalog", "ls", "--json"))] == [1200]
    assert "meta.language" in shared.run("c", "catalog", "show", "web")
    assert len(json.loads(shared.run("c", "catalog", "show", "web", "--snapshots", "--json"))) == 1
    assert "2019" in shared.run("c", "catalog", "stats", "web")
    assert (
        len(json.loads(shared.run("d", "catalog", "query", "web", "year == 2003", "--limit", "100", "--json"))["rows"])
        == 60
    )
    assert "Reading" in shared.run("c", "explain", spec)
    shared.run("c", "check", spec)
    shared.run("c", "lock", spec)
    shared.run("d", "lock", "--check", spec)
    readers = [shared.start("new", "compile", spec, "-o", str(tmp_path / f"plan-{number}")) for number in range(3)]
    (digest,) = {shared.finish(reader)[0] for reader in readers}
    local = mixtera.Catalog.open(str(tmp_path / "local"))
    local.index(mixtera.load(spec))
    made = mixtera.compile(mixtera.load(spec), local)
    assert digest.strip() == made.digest
    found = mixtera.Plan.open(str(tmp_path / "plan-0"))
    assert found.data.facts["catalog"] == shared.url
    assert [batch.to_pydict() for batch in found.stream(batch_size=64)] == [
        batch.to_pydict() for batch in made.stream(batch_size=64)
    ]
    names = {name.removeprefix(f"{shared.url.removeprefix('s3://')}/") for name in objects.files.find(shared.url)}
    assert {name.partition("/")[0] for name in names} == {"catalog.json", "commits", "warehouse"}
    assert not [name for name in names if name.endswith((".part", "run.json"))]
    assert f"dropped web from the catalog {shared.url}" in shared.finish(shared.start("d", "catalog", "drop", "web"))[1]
    assert not [name for name in objects.files.find(shared.url) if "/warehouse/" in name]
    assert "is not in the catalog" in shared.run("a", "compile", spec, "-o", str(tmp_path / "none"), code=1)
    assert "4 files read" in shared.run("b", "index", spec)


def test_every_change_is_what_a_local_catalog_makes_of_it(shared: Shared, tmp_path: Path) -> None:
    """New, changed and vanished files, properties added later, quarantine; each time another machine does it."""
    plain, more, local = shared.spec("plain"), shared.spec("more", MORE), str(tmp_path / "local")
    (tmp_path / "sizes.py").write_text(MODULE)
    (tmp_path / "quality.csv").write_text(
        "year,quality\n" + "".join(f"{year},{year % 7}\n" for year in range(2000, 2020))
    )

    def same(name: str, spec: Path) -> mixtera.Catalog:
        catalog = shared.open(name)
        with machine(shared.on(name)):
            catalog.index(mixtera.load(str(spec)), workers=1)
        assert shared.rows(f"reader of {name}", spec) == shared.rows("any", spec, local)
        return catalog

    shared.open("a", create=True)
    same("a", plain)
    write_lines(tmp_path / "web" / "4.jsonl", range(9000, 9100))
    write_lines(tmp_path / "web" / "1.jsonl", range(50))
    touch_later(tmp_path / "web" / "1.jsonl")
    (tmp_path / "web" / "2.jsonl").unlink()
    same("b", plain)
    catalog = same("c", more)
    assert len(catalog.history("web")) == 3
    append(tmp_path / "web" / "3.jsonl", b"{no json\n")
    catalog = same("d", more)
    (bad,) = catalog.quarantine("web").to_pylist()
    assert (bad["file"], bad["row"]) == ("3.jsonl", 300)
    (report,) = shared.open("e").verify(mixtera.load(str(more)), workers=1)
    assert (report.files, report.differences) == (4, ())
    for number in range(5, 25):  # many small files are merged, and the metadata of old commits is deleted
        write_lines(tmp_path / "web" / f"{number}.jsonl", range(number))
        with machine(shared.on("a")):
            catalog = mixtera.Catalog.open(shared.url)
            catalog.index(mixtera.load(str(more)), workers=1)
    same("f", more)


def test_it_is_a_catalog_of_iceberg_tables(shared: Shared, s3: Weed) -> None:
    spec = shared.spec("spec")
    shared.run("a", "index", str(spec))
    catalog = shared.open("a")
    location = catalog._tables._pointers.location("web", "samples")
    assert location is not None
    assert location.startswith(f"{shared.url}/warehouse/web/samples/metadata/")
    access = {"s3.endpoint": s3.url, "s3.access-key-id": KEY, "s3.secret-access-key": SECRET, "s3.region": "us-east-1"}
    table = StaticTable.from_metadata(location, access)
    found = table.scan(row_filter="year == 2003").to_arrow()
    assert len(found) == 60
    assert set(found["language"].to_pylist()) == {"en", "de", "fr"}


def test_a_table_of_a_team_is_pinned_by_one_machine_and_compiled_by_another(shared: Shared, tmp_path: Path) -> None:
    corpus = make(tmp_path / "corpus")
    spec = tabled(corpus, keep(corpus.table, tmp_path / "meta"), tmp_path)
    shared.open("a", create=True).index(spec)
    other = shared.open("b")
    assert mixtera.compile(spec, other).digest == corpus.digest
    assert not other.verify(spec)[0].differences
    assert other.index(spec).sources[0].unchanged == 2


def test_a_reader_sees_one_state_whatever_others_do(shared: Shared) -> None:
    spec = shared.spec("spec")
    shared.run("a", "index", str(spec))
    early, late = shared.open("reader"), shared.open("late reader")
    before = shared.rows("a", spec)
    source = mixtera.load(str(spec)).sources[0]
    assert early.source(source).rows == 1200  # has its files now
    write_lines(shared.directory / "web" / "9.jsonl", range(100))
    shared.run("b", "index", str(spec))
    assert early.source(source).rows == late.source(source).rows == 1200
    shared.run("b", "catalog", "drop", "web")
    shared.run("c", "index", str(spec))
    assert early.source(source).rows == len(before) == 1200
    too_late = shared.open("x")
    shared.run("c", "catalog", "drop", "web")
    with pytest.raises(
        StorageError,
        match=r"is gone: its source was dropped or indexed again, or the catalog was pruned, .*: run it again",
    ):
        too_late.source(source)
    assert shared.open("reader").sources() == ()


def test_a_catalog_that_was_moved(shared: Shared, objects: Objects) -> None:
    """Copied to another URL; old copies of files of the first are not mistaken for its."""
    spec, moved = shared.spec("spec"), Shared(shared.directory)
    shared.run("a", "index", str(spec))
    objects.files.copy(shared.url, moved.url, recursive=True)
    write_lines(shared.directory / "web" / "9.jsonl", range(100))
    for name in ("a", "b"):
        moved.run(name, "index", str(spec))
    assert len(moved.rows("c", spec)) == 1300
    assert len(shared.rows("c", spec)) == 1200
    before = set(shared.on("a").glob("catalogs/*"))
    objects.files.rm(shared.url, recursive=True)
    shared.run("a", "index", str(spec))
    assert len(set(shared.on("a").glob("catalogs/*")) - before) == 1


@pytest.mark.parametrize(
    ("objects_there", "why"),
    [
        ({"thesis.tex": b"a"}, r"is not a catalog, and not empty \(it holds s3://.*/thesis.tex\)"),
        ({"warehouse/a/b": b"a"}, r"is not a catalog, and not empty"),
        ({"catalog.json": b'{"version": 2, "root": "file:///x"}'}, "is a copy of the directory of a catalog"),
        ({"catalog.json": b'{"version": 9, "root": "s3://a", "key": "b"}'}, "version 9.*update Mixtera"),
        ({"catalog.json": b"{"}, "catalog.json cannot be read"),
        (
            {"catalog.json": b'{"version": 2, "root": "s3://a", "key": "b"}', "commits/0000000001.json": b"[]"},
            "commits/0000000001.json is no commit of a catalog",
        ),
    ],
)
def test_what_is_no_catalog_is_refused(
    s3: Weed, objects: Objects, tmp_path: Path, objects_there: dict[str, bytes], why: str
) -> None:
    url = f"{new_root()}/catalog"
    for name, content in objects_there.items():
        objects.put(f"{url}/{name}", content)
    with machine(tmp_path), pytest.raises(CatalogError, match=why):
        mixtera.Catalog.open(url)
    assert len(objects.files.find(url)) == len(objects_there)


def test_servers_and_disks_that_refuse(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = str(shared.spec("spec"))
    shared.run("a", "index", spec)
    with machine(Path("/proc/nowhere")), pytest.raises(StorageError, match=r"cannot be copied to /proc.*MIXTERA_CACHE"):
        mixtera.Catalog.open(shared.url)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert "credentials" in shared.run("b", "catalog", "ls", code=3)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    shared.url = "s3://no-such-bucket-here/catalog"
    assert "no such bucket" in shared.run("b", "index", spec, code=3)


def test_a_server_without_conditions_is_found_out() -> None:
    """None of the servers at hand is like that: a storage that overwrites stands for it."""
    from mixtera.catalog.remote import _create
    from mixtera.errors import MissingError

    class Overwriting:
        name, schemes = "overwriting", ("x",)

        def __init__(self) -> None:
            self.objects: dict[str, bytes] = {}

        def expand(self, patterns: list[str]) -> list[object]:
            raise MissingError(patterns[0])

        def create(self, url: str, content: bytes) -> bool:
            self.objects[url] = content
            return True

        def delete(self, urls: list[str]) -> None:
            for url in urls:
                del self.objects[url]

    storage = Overwriting()
    with pytest.raises(CatalogError, match=r"If-None-Match.*use a directory, or another server"):
        _create(storage, "x://catalog")  # type: ignore[arg-type]
    assert storage.objects == {}
