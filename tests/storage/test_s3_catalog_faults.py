"""A catalog on S3 whose writers meet each other, are killed, or get no answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import mixtera
from mixtera.errors import CatalogError, MixteraError, StorageError
from tests.catalog.corpus import touch_later, write_lines
from tests.faults.test_index_faults import killed, moments
from tests.storage.faulty import Fault, FaultyProxy, Request
from tests.storage.machines import OTHER, Shared, index, is_commit
from tests.storage.objects import Objects
from tests.storage.weed import Weed


@pytest.fixture
def shared(tmp_path: Path, s3: Weed) -> Shared:
    for number in range(4):
        write_lines(tmp_path / "web" / f"{number}.jsonl", range(1000 * number, 1000 * number + 300))
    write_lines(tmp_path / "more" / "0.jsonl", range(300))
    return Shared(tmp_path)


def before_a_commit(proxy: FaultyProxy, call: Callable[[], object]) -> list[object]:
    """Let somebody else do something when the next commit is on its way, and has not arrived."""
    done: list[object] = []

    def choose(request: Request) -> None:
        if is_commit(request):
            proxy.choose = lambda request: None
            done.append(call())

    proxy.choose = choose
    return done


def commits(shared: Shared, objects: Objects) -> int:
    return len(objects.files.ls(f"{shared.url}/commits", refresh=True))


def test_who_is_overtaken_by_another_source_commits_once_more_and_scans_nothing_again(
    shared: Shared, objects: Objects, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sources give their files the same ids at first."""
    monkeypatch.setattr("mixtera.catalog.names.file_id_of", lambda source, name: 7)
    web, more = shared.spec("web"), shared.spec("more", OTHER)
    one, other = shared.open("one", create=True), shared.open("other")
    scans: list[str] = []
    scan = mixtera.catalog.scan.scan_bundle
    monkeypatch.setattr(
        "mixtera.catalog.work.scan_bundle",
        lambda bundle, advance: scans.append(bundle.source) or scan(bundle, advance),
    )
    done = before_a_commit(proxy, lambda: index(other, more))
    assert index(one, web).samples == 1200
    assert len(done) == 1
    assert commits(shared, objects) == 2
    ids = [file_id for name in ("web", "more") for file_id in shared.open("x").state(name).files["file_id"].to_pylist()]
    assert sorted(ids) == [7, 8, 9, 10, 11]
    assert len(shared.rows("reader", web)) == 1200
    assert len(shared.rows("reader", more)) == 300


def test_who_is_overtaken_on_the_same_source_finds_the_work_done(
    shared: Shared, objects: Objects, proxy: FaultyProxy
) -> None:
    spec = shared.spec("web")
    one, other = shared.open("one", create=True), shared.open("other")
    before_a_commit(proxy, lambda: index(other, spec))
    assert index(one, spec).new == 0
    assert commits(shared, objects) == 1
    assert len(shared.rows("reader", spec)) == 1200
    write_lines(shared.directory / "web" / "4.jsonl", range(50))
    before_a_commit(proxy, lambda: index(other, spec))
    assert index(one, spec).samples == 1250
    assert list((one.path / "warehouse").rglob("run.json")) == []
    assert len(shared.rows("reader", spec)) == 1250
    assert len(shared.rows("one", spec)) == 1250


def test_a_drop_and_an_index_that_meet(shared: Shared, objects: Objects, proxy: FaultyProxy) -> None:
    """The drop deletes nothing of what comes after it, even of files that were uploaded before."""
    spec = shared.spec("web")
    one, other = shared.open("one", create=True), shared.open("other")
    index(other, spec)
    write_lines(shared.directory / "web" / "4.jsonl", range(50))
    before_a_commit(proxy, lambda: other.drop("web"))
    assert index(one, spec).samples == 1250
    assert len(shared.rows("reader", spec)) == 1250
    before_a_commit(proxy, lambda: index(one, shared.spec("more", OTHER)))
    other.drop("web")
    assert shared.open("x").sources() == ("more",)
    assert not [name for name in objects.files.find(shared.url) if "/warehouse/web" in name]
    with pytest.raises(CatalogError, match=r"'web' is not in the catalog s3://.*; it holds: more"):
        one.drop("web")


def test_an_answer_that_is_lost_is_no_second_commit(shared: Shared, objects: Objects, proxy: FaultyProxy) -> None:
    spec = shared.spec("web")
    catalog = shared.open("one", create=True)
    lost: list[Request] = []

    def choose(request: Request) -> Fault | None:
        if is_commit(request) and not lost:
            lost.append(request)
            return "unanswered"
        return None

    proxy.choose = choose
    assert index(catalog, spec).new == 4
    assert len(lost) == 1
    assert commits(shared, objects) == 1


@pytest.mark.parametrize(("fault", "arrives"), [("unanswered", True), ("denied", False)])
def test_a_commit_that_never_gets_an_answer(
    shared: Shared, objects: Objects, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, fault: Fault, arrives: bool
) -> None:
    """It is looked up whether it has arrived; if not, the old state stays and the work is kept."""
    spec = shared.spec("web")
    catalog = shared.open("one", create=True)
    proxy.choose = lambda request: fault if is_commit(request) else None
    if arrives:
        assert index(catalog, spec).new == 4
    else:
        with pytest.raises(StorageError, match=r"cannot be written: access denied.*s3:PutObject"):
            index(catalog, spec)
        assert shared.open("x").sources() == ()
        proxy.choose = lambda request: None
        assert index(catalog, spec).new == 4
    assert commits(shared, objects) == 1
    assert len(shared.rows("reader", spec)) == 1200


def test_a_server_that_is_busy(shared: Shared, proxy: FaultyProxy) -> None:
    """Every third request is refused for the moment, reads and writes alike."""
    spec = shared.spec("web")
    counted = iter(range(1, 10_000))
    proxy.choose = lambda request: "slow down" if next(counted) % 3 == 0 else None
    assert index(shared.open("one", create=True), spec).new == 4
    assert len(shared.rows("two", spec)) == 1200
    shared.open("three").drop("web")
    assert len(proxy.met) > 5


def test_two_machines_that_index_at_once_all_the_time(shared: Shared) -> None:
    """Real processes; each changes its source again and again, and nobody loses anything."""
    specs = {"web": shared.spec("web"), "more": shared.spec("more", OTHER)}
    shared.open("web", create=True)
    for turn in range(3):
        for name in specs:
            write_lines(shared.directory / name / f"turn-{turn}.jsonl", range(10))
        running = [shared.start(name, "index", str(spec), "--quiet") for name, spec in specs.items()]
        running += [shared.start(f"again {name}", "index", str(spec), "--quiet") for name, spec in specs.items()]
        for process in running:
            shared.finish(process)
        assert len(shared.rows("reader", specs["web"])) == 1210 + 10 * turn
        assert len(shared.rows("reader", specs["more"])) == 310 + 10 * turn
    states = [shared.open("reader").state(name) for name in specs]
    ids = [file_id for state in states for file_id in state.files["file_id"].to_pylist()]
    assert len(ids) == len(set(ids)) == 11


def test_an_indexer_that_is_killed_at_any_moment(shared: Shared) -> None:
    """What others see is the state before or the one after, whole; the next run goes on."""
    spec = shared.spec("web")
    begun = time.monotonic()
    shared.run("one", "index", str(spec), "--workers", "2")
    whole_seconds = time.monotonic() - begun
    seen = shared.rows("reader 0", spec)
    deaths = 0
    for turn, moment in enumerate(moments(11, 6, whole_seconds)):
        touch_later(shared.directory / "web" / f"{turn % 4}.jsonl")
        write_lines(shared.directory / "web" / f"turn-{turn}.jsonl", range(20))
        deaths += killed(shared.start("one", "index", str(spec), "--workers", "2"), moment)
        now = shared.rows(f"reader {turn + 1}", spec)
        files = {row["file"] for row in now} - {row["file"] for row in seen}
        assert [row for row in now if row["file"] not in files] == seen
        assert len(now) == len(seen) + 20 * len(files)
        seen = now
    assert deaths > 0
    shared.run("one", "index", str(spec), "--quiet")
    assert len(shared.rows("reader", spec)) == 1200 + 20 * 6
    copies = shared.open("one").path
    assert list(copies.rglob("run.json")) == []


def test_a_server_that_is_killed_and_restarted(tmp_path: Path, s3: Weed, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "server").mkdir()
    server = Weed(tmp_path / "server")
    server.start()
    try:
        with FaultyProxy(server.port) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
            write_lines(tmp_path / "web" / "0.jsonl", range(300))
            shared = Shared(tmp_path)
            spec = shared.spec("web")
            catalog = shared.open("one", create=True)
            again: list[threading.Timer] = []

            def choose(request: Request) -> None:
                if is_commit(request) and not again:
                    server.kill()
                    again.append(threading.Timer(1, server.start))
                    again[0].start()

            proxy.choose = choose
            try:
                index(catalog, spec)
            except MixteraError:  # it was away for longer than the client asks again
                again[0].join()
                assert index(catalog, spec).new == 1
            again[0].join()
            assert len(shared.rows("reader", spec)) == 300
    finally:
        server.kill()
