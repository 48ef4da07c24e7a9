"""Plans at URLs whose long arrays come in pages, on a storage in memory."""

from __future__ import annotations

import resource
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import fsspec
import msgspec
import numpy as np
import pytest

from mixtera.artifact import layout, pages, paging
from mixtera.artifact.digest import digest
from mixtera.artifact.model import OrderParameters
from mixtera.artifact.pages import PAGE_BYTES, PagedArray
from mixtera.artifact.pointers import PointerMap
from mixtera.errors import PlanError, StorageError
from mixtera.plan import Plan
from mixtera_backends.storage.fsspec import FsspecStorage
from tests.forks import status_in_a_child
from tests.paged import another
from tests.synthetic import plan_data
from tests.waiting import patience_with

URL = "memory://plans/long"
ROWS, FILES, LANES, CHUNK = 240_000, 3, 4, 2048


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Plan:
    """A plan of 15 pages of rows and 30 of starts."""
    labels = [np.random.default_rng(file).integers(0, 3, ROWS // FILES).astype(np.uint8) for file in range(FILES)]
    order = OrderParameters(7, "global", CHUNK, LANES, 16)
    data = plan_data(labels, [3.0, 1.0, 2.0], order=order, segment_rows=1024)
    return Plan.of(data, tmp_path_factory.mktemp("long"))


@pytest.fixture
def far(local, tmp_path, monkeypatch) -> Plan:
    """The same at a URL; opened where the machine has nothing of it."""
    monkeypatch.setenv("MIXTERA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MIXTERA_PAGED_BYTES", str(PAGE_BYTES))
    fsspec.filesystem("memory").store.clear()
    another(local).save(URL)
    return Plan.open(URL)


@pytest.fixture
def asked(monkeypatch) -> list[tuple[str, int, int]]:
    """What is asked of the storage from now on: name, first byte, byte after the last."""
    found: list[tuple[str, int, int]] = []
    gather = paging.FarArray.gather

    def noting(self, starts, stops):
        found.extend((self._name, *range_) for range_ in zip(starts.tolist(), stops.tolist(), strict=True))
        return gather(self, starts, stops)

    monkeypatch.setattr(paging.FarArray, "gather", noting)
    return found


def in_store(name: str) -> str:
    """The path of a plan's file in the memory."""
    (path,) = [path for path in fsspec.filesystem("memory").store if path.endswith(f"/{name}")]
    return path


def rank(plan: Plan, number: int, ranks: int, rounds: int | None = None) -> Iterator[np.ndarray]:
    """Samples, and their bytes, of the lanes of a rank."""
    map_ = PointerMap(plan.data)
    total = -(-len(plan) // (CHUNK * LANES))
    for round_ in range(total if rounds is None else rounds):
        for lane in range(number, LANES, ranks):
            found = map_.lane(round_, lane, 0, CHUNK // 16)
            yield np.stack([found.position, found.sample, found.start, found.stop])


def test_nothing_long_is_fetched_to_open_it(local, far, asked):
    assert isinstance(far.data.rows, PagedArray)
    assert isinstance(far.data.starts, PagedArray)
    assert (far.digest, len(far), len(far.data.rows)) == (local.digest, len(local), ROWS)
    assert far.data.starts.nbytes == local.data.starts.nbytes
    assert not asked
    copies = [far.path / name for name in ("rows.u16", "starts.u32")]
    assert sum(copy.stat().st_blocks for copy in copies) == 0
    assert Plan.open(str(far.path)).digest == local.digest


@pytest.mark.parametrize("ranks", [1, 3, LANES])
def test_every_rank_reads_what_it_reads_of_a_local_plan(local, far, ranks):
    for number in range(ranks):
        for found, expected in zip(rank(far, number, ranks), rank(local, number, ranks), strict=True):
            np.testing.assert_array_equal(found, expected)
    assert far.samples(1000, 1300).equals(local.samples(1000, 1300))
    sample = int(local.samples(77, 78)["sample"][0].as_py())
    assert far.locate(sample) == local.locate(sample)


def test_a_rank_fetches_the_pages_that_it_needs(local, far, asked):
    """Those of its segments and no others, but for gaps that cost less than a request; each once."""
    list(rank(far, 1, LANES, rounds=1))
    needed = np.unique(np.concatenate(list(_numbers(local, 1))) * 2 // PAGE_BYTES)
    ranges = [(first, stop) for name, first, stop in asked if name == "rows.u16"]
    fetched = [page for first, stop in ranges for page in range(first // PAGE_BYTES, -(-stop // PAGE_BYTES))]
    assert len(fetched) == len(set(fetched))
    assert set(needed.tolist()) <= set(fetched)
    gap = FsspecStorage().profile().gap_bytes // PAGE_BYTES
    assert all(np.abs(needed - page).min() <= gap for page in fetched)
    assert len(fetched) < len(far.data.rows) * 2 // PAGE_BYTES
    before = list(asked)
    list(rank(far, 1, LANES, rounds=1))
    list(rank(Plan.open(URL), 1, LANES, rounds=1))  # as another process of the machine, or a later one
    list(rank(Plan.open(str(far.path)), 1, LANES, rounds=1))  # as a worker that is told the directory
    assert asked == before
    blocks = (far.path / "rows.u16").stat().st_blocks * 512
    assert 0 < blocks <= len(fetched) * PAGE_BYTES


def test_a_short_run_of_one_rank_of_many_fetches_a_small_part(tmp_path, monkeypatch, asked):
    monkeypatch.setenv("MIXTERA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MIXTERA_PAGED_BYTES", str(PAGE_BYTES))
    labels = [np.random.default_rng(file).integers(0, 2, 800_000).astype(np.uint8) for file in range(3)]
    order = OrderParameters(7, "global", 512, 16, 16)
    made = Plan.of(plan_data(labels, [1.0, 1.0], order=order, segment_rows=1024), tmp_path)
    made.save("memory://plans/longer")
    opened = Plan.open("memory://plans/longer")
    map_, expected = PointerMap(opened.data), PointerMap(made.data)
    for granule in range(512 // 16):
        found = map_.lane(0, 5, granule, granule + 1)
        np.testing.assert_array_equal(found.stop, expected.lane(0, 5, granule, granule + 1).stop)
    read = sum(stop - first for _, first, stop in asked)
    assert read * 8 < opened.data.rows.nbytes + opened.data.starts.nbytes
    assert len(asked) < 40


def _numbers(plan: Plan, lane: int) -> Iterator[np.ndarray]:
    """Which values of `rows` the first chunk of a lane needs."""
    map_ = PointerMap(plan.data)
    chunk = map_.lanes.chunk(0, lane)
    entry, rank_ = map_.permutation.find(chunk.component, chunk.place)
    yield map_.permutation.sample_first[entry] + rank_


def test_what_one_request_misses_is_fetched_together(far, monkeypatch):
    calls = []
    gather = paging.FarArray.gather

    def noting(self, starts, stops):
        calls.append(len(starts))
        return gather(self, starts, stops)

    monkeypatch.setattr(paging.FarArray, "gather", noting)
    values = PAGE_BYTES // 2
    far.data.rows[np.array([0, 4 * values, 8 * values + 3, 1, ROWS - 1])]
    assert calls == [4]
    far.data.rows[np.array([values, 5])]
    assert calls == [4, 1]


@pytest.mark.parametrize(
    "part", [slice(None), slice(5, 40_000), slice(16_383, 16_385), slice(9, 9), slice(90_000, 3, -7)]
)
def test_parts_are_those_of_the_array(local, far, part):
    np.testing.assert_array_equal(far.data.rows[part], local.data.rows[part])
    np.testing.assert_array_equal(far.data.starts[part], local.data.starts[part])


def test_it_is_read_whole_by_those_who_need_all(local, far, tmp_path):
    assert digest(far.data) == local.digest
    np.testing.assert_array_equal(far.data.rows, local.data.rows)
    assert far.save(str(tmp_path / "saved")) == sum(file.stat().st_size for file in (tmp_path / "saved").iterdir())
    for file in local.path.iterdir():
        assert (tmp_path / "saved" / file.name).read_bytes() == file.read_bytes()
    paging.complete(far.data)
    assert (far.path / "starts.u32").read_bytes() == (local.path / "starts.u32").read_bytes()


def test_numbers_that_no_array_has(local, far):
    assert far.data.rows[np.int64(77_777)] == far.data.rows[77_777] == local.data.rows[77_777]
    for number in (-1, ROWS):
        with pytest.raises(IndexError):
            far.data.rows[np.array([number])]
    with pytest.raises(IndexError):
        far.data.starts[np.array([10**9])]


@pytest.mark.parametrize("written", [0, 1, 1000, PAGE_BYTES // 2])
def test_a_page_that_is_half_written_is_not_there(local, far, asked, written):
    """As a process leaves it that is killed, or a machine that loses power after the file has grown."""
    with (far.path / "rows.u16").open("r+b") as file:
        file.seek(2 * PAGE_BYTES)
        file.write((local.path / "rows.u16").read_bytes()[2 * PAGE_BYTES :][:written])
    first = 2 * PAGE_BYTES // 2
    np.testing.assert_array_equal(far.data.rows[first : first + 9], local.data.rows[first : first + 9])
    assert asked == [("rows.u16", 2 * PAGE_BYTES, 3 * PAGE_BYTES)]


def test_pages_that_were_spoiled_are_fetched_again(local, far, asked):
    far.data.rows[:]
    with (far.path / "rows.u16").open("r+b") as file:
        file.seek(PAGE_BYTES + 5)
        file.write(b"\xff\xff")
    asked.clear()
    np.testing.assert_array_equal(Plan.open(URL).data.rows, local.data.rows)
    assert asked == [("rows.u16", PAGE_BYTES, 2 * PAGE_BYTES)]


def test_a_plan_that_was_replaced_is_read_from_its_old_folder(local, far):
    other = replace(local.data, rows=local.data.rows[::-1].copy())
    layout_digest = digest(other)
    with_other = replace(other, name="other")
    directory = Path(far.path).parent / "other"
    layout.write(str(directory), with_other, layout_digest)
    Plan.open(str(directory)).save(URL)
    np.testing.assert_array_equal(far.data.rows, local.data.rows)
    now = Plan.open(URL)
    assert now.digest != far.digest
    np.testing.assert_array_equal(now.data.rows, other.rows)


def test_an_array_that_was_replaced_or_removed_is_named(local, far):
    store = fsspec.filesystem("memory")
    for name in ("rows.u16", "starts.u32"):
        content = bytearray(store.cat(in_store(name)))
        content[0] ^= 1
        store.pipe_file(in_store(name), bytes(content))
    with pytest.raises(PlanError, match=rf"the plan {URL} is damaged, or was replaced: rows\.u16 there is not"):
        far.data.rows[:5]
    assert far.data.rows[-5:].tolist() == local.data.rows[-5:].tolist()  # other pages are as they were
    store.pipe_file(in_store("starts.u32"), b"short")
    with pytest.raises(PlanError, match=r"starts\.u32 there is not the one"):
        far.data.starts[:5]
    store.rm_file(in_store("starts.u32"))
    with pytest.raises(PlanError, match=rf"the plan {URL} is damaged, or was removed .*: its starts\.u32 is missing"):
        far.data.starts[:5]


def test_a_copy_of_a_plan_directory_comes_in_pages_too(local, far):
    store = fsspec.filesystem("memory")
    store.store.clear()
    for file in local.path.iterdir():
        store.pipe_file(f"{URL}/{file.name}", file.read_bytes())
    np.testing.assert_array_equal(far.data.rows[7:9], local.data.rows[7:9])


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_named_and_nothing_is_lost(local, far):
    with files_of_at_most(PAGE_BYTES + 100):
        assert far.data.rows[:5].tolist() == local.data.rows[:5].tolist()
        with pytest.raises(StorageError, match=r"pages of a plan cannot be kept in .*rows\.u16: .*MIXTERA_CACHE"):
            far.data.rows[:]
    np.testing.assert_array_equal(far.data.rows, local.data.rows)


def test_a_copy_that_cannot_be_written_is_named(far, tmp_path):
    sums = pages.Sums(PAGE_BYTES, np.zeros(1, np.uint32))
    with pytest.raises(StorageError, match=rf"{tmp_path} cannot be opened to keep pages of a plan: Is a directory"):
        PagedArray(tmp_path, "<u2", sums, paging.FarArray(URL, "", "rows.u16", 0))


def test_short_arrays_are_copied_whole(local, far, monkeypatch):
    monkeypatch.setenv("MIXTERA_PAGED_BYTES", str(1 << 20))
    whole = Plan.open(URL)
    assert whole.path != far.path
    assert isinstance(whole.data.rows, np.ndarray)
    np.testing.assert_array_equal(whole.data.starts, local.data.starts)
    monkeypatch.setenv("MIXTERA_PAGED_BYTES", "0")
    assert Plan.open(URL).path == whole.path  # what is whole is used


def test_only_the_arrays_that_are_long_are_holes(local, far, monkeypatch, tmp_path):
    monkeypatch.setenv("MIXTERA_CACHE", str(tmp_path / "another"))
    monkeypatch.setenv("MIXTERA_PAGED_BYTES", str(local.data.rows.nbytes))
    opened = Plan.open(URL)
    assert (opened.path / "rows.u16").read_bytes() == (local.path / "rows.u16").read_bytes()
    assert (opened.path / "starts.u32").stat().st_blocks == 0
    np.testing.assert_array_equal(opened.data.starts, local.data.starts)


def edited(change) -> None:
    """Change the document of the plan, and lay all its files beside it, as in a copy of a directory."""
    store = fsspec.filesystem("memory")
    for path in list(store.store):
        if not path.endswith("plan.json"):
            store.mv(path, f"{URL}/{path.rpartition('/')[2]}")
    document = msgspec.json.decode(store.cat(f"{URL}/plan.json"))
    change(document["body"])
    body = msgspec.json.encode(document["body"])

    head = msgspec.json.encode({"mixtera_plan": document["mixtera_plan"], "checksum": zlib.crc32(body)})
    store.pipe_file(f"{URL}/plan.json", head[:-1] + b',"body":' + body + b"}")


def test_a_plan_saved_before_there_were_pages_is_copied_whole(local, far):
    edited(lambda body: (body.pop("pages"), body["marks"].pop(pages.SUMS)))
    opened = Plan.open(URL)
    assert opened.digest == local.digest
    assert isinstance(opened.data.rows, np.ndarray)
    np.testing.assert_array_equal(opened.data.rows, local.data.rows)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["pages"].update(checksum=1),
        lambda body: body["pages"].update(bytes=0),
        lambda body: body["pages"].update(bytes=PAGE_BYTES - 4),
        lambda body: body["pages"]["files"].pop(),
        lambda body: body["pages"].update(files=["rows.u16", "nothing.u32"]),
        lambda body: body["pages"].update(bytes="x"),
    ],
)
def test_checksums_that_do_not_fit_are_refused(far, change):
    edited(change)
    with pytest.raises(PlanError, match="is damaged: "):
        Plan.open(URL)


def test_a_table_in_pages_is_copied_whole(local, far):
    """As a later release may write it."""

    def change(body):
        body["pages"]["files"].append("segments.arrow")
        sums = (local.path / pages.SUMS).read_bytes()
        sums += np.array(list(pages._sums_of(local.path / "segments.arrow")), "<u4").tobytes()
        body["pages"]["checksum"] = zlib.crc32(sums)
        body["marks"][pages.SUMS] = {"bytes": len(sums), "checksum": zlib.crc32(sums)}
        fsspec.filesystem("memory").pipe_file(f"{URL}/{pages.SUMS}", sums)

    edited(change)
    opened = Plan.open(URL)
    assert opened.path != far.path
    assert opened.data.segments.equals(local.data.segments)
    np.testing.assert_array_equal(opened.data.rows, local.data.rows)


def test_checksums_that_were_spoiled_or_are_gone(far):
    (far.path / pages.SUMS).write_bytes(b"\0" * (far.path / pages.SUMS).stat().st_size)
    with pytest.raises(PlanError, match=rf"{URL} .*is damaged: pages\.u32 was changed"):
        Plan.open(URL)
    (far.path / pages.SUMS).unlink()
    with pytest.raises(PlanError, match=r"pages\.u32 is missing"):
        Plan.open(str(far.path))


@pytest.mark.parametrize("text", ["", "64MiB", "-1", "1e6", "²"])
def test_a_size_that_is_none_is_refused(far, monkeypatch, text):
    monkeypatch.setenv("MIXTERA_PAGED_BYTES", text)
    monkeypatch.setenv("MIXTERA_CACHE", str(far.path.parent / "another"))
    with pytest.raises(StorageError, match=r"MIXTERA_PAGED_BYTES is .*: it must be a whole number of bytes"):
        Plan.open(URL)


READING = """
import sys
import numpy as np
from mixtera.plan import Plan
rows = Plan.open(sys.argv[1]).data.rows
for first in range(0, len(rows), 10_000):
    rows[np.array([first])]
    print(first, flush=True)
sys.stdin.read()
"""


def test_what_a_process_leaves_that_is_killed_while_others_read(local, far, tmp_path, monkeypatch, asked):
    url = f"local://{tmp_path}/elsewhere"
    another(local).save(url)
    child = subprocess.Popen(
        [sys.executable, "-c", READING, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        with patience_with(child):
            assert child.stdout.readline() == "0\n"
        opened = Plan.open(url)
        np.testing.assert_array_equal(opened.data.rows[:100_000], local.data.rows[:100_000])
        child.kill()
    assert child.returncode == -9
    np.testing.assert_array_equal(opened.data.rows, local.data.rows)
    np.testing.assert_array_equal(Plan.open(url).data.rows, local.data.rows)
    assert all(first >= PAGE_BYTES for _, first, _ in asked)  # the page that the child had


def test_a_process_that_was_forked_fetches_for_itself(local, far):
    assert far.data.rows[:3].tolist() == local.data.rows[:3].tolist()
    wanted = local.data.rows[50_000:50_010].tolist()
    assert status_in_a_child(lambda: far.data.rows[50_000:50_010].tolist() == wanted) == 0
    assert far.data.rows[50_000:50_010].tolist() == wanted
