"""Stripes of what is wanted whole: right bytes whatever is kept, each fetched once, by one of those that share."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial, partialmethod
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.errors import StorageError
from mixtera.formats.cells import Cells
from mixtera_backends.storage.s3 import S3Storage
from mixtera_backends.storage.s3.ring import Ring
from mixtera_backends.storage.s3.shared import Directory
from mixtera_backends.storage.s3.stretches import Stripe, Stripes
from tests.forks import bystander
from tests.storage.objects import new_root
from tests.waiting import patience_with

DATA = np.random.default_rng(9).integers(0, 256, 100_000, np.uint8).tobytes()
OBJECT = "bucket", "key", "etag"


class Fetched(list):
    """Reads stripes of `DATA` in parts, and remembers which."""

    def __call__(self, stripe):
        self.append(stripe)
        edges = [*range(stripe.start, stripe.stop, 3_000), stripe.stop]
        return iter([DATA[first:last] for first, last in pairwise(edges)])


def at_once(call):
    done = Future()
    try:
        done.set_result(call())
    except StorageError as error:
        done.set_exception(error)
    return done


def read(stripes, fetched, cells, starts, stops):
    """The bytes of ranges, back to back; what is not kept any more is taken from the source."""
    pieces = cells.cut(np.array(starts), np.array(stops))
    inside = np.flatnonzero(pieces.in_stripe)
    numbers, which = np.unique(pieces.cell[inside], return_inverse=True)
    bounds = zip(*(edge.tolist() for edge in cells.bounds(numbers)), strict=True)
    distinct = [Stripe(OBJECT, start, stop) for start, stop in bounds]
    for coming in stripes.expect(distinct, fetched):
        coming.result()
    lengths = pieces.stops - pieces.starts
    places = np.cumsum(lengths) - lengths
    target = np.frombuffer(b"".join(DATA[a:b] for a, b in zip(pieces.starts, pieces.stops, strict=True)), np.uint8)
    found = target.copy()
    for place in inside.tolist():
        found[places[place] : places[place] + lengths[place]] ^= 255  # so that what is not read is seen
    mine = pieces.of(inside)
    mine = type(mine)(which, mine.starts, mine.stops, mine.in_stripe)
    left = stripes.read_into(found.data, distinct, mine, places[inside])
    for place in inside[left].tolist():
        part = slice(places[place], places[place] + lengths[place])
        found[part] = target[part]
    assert found.tobytes() == b"".join(DATA[a:b] for a, b in zip(starts, stops, strict=True))
    return len(left)


ranges = st.lists(st.integers(0, len(DATA)), min_size=2, max_size=12, unique=True).map(sorted)


@given(ranges, st.integers(1, 50_000), ranges)
def test_ranges_are_cut_at_the_edges_of_stripes_and_nowhere_else(stretches, stripe_bytes, wanted):
    first, last = np.array(stretches[: len(stretches) // 2 * 2]).reshape(-1, 2).T
    starts, stops = np.array(wanted[: len(wanted) // 2 * 2]).reshape(-1, 2).T
    cells = Cells(first, last, len(DATA), stripe_bytes)
    pieces = cells.cut(starts, stops)
    covered = [at for a, b in zip(pieces.starts.tolist(), pieces.stops.tolist(), strict=True) for at in (a, b)]
    assert sorted({*starts.tolist(), *stops.tolist()}) == sorted(
        {at for at in covered if at in {*starts.tolist(), *stops.tolist()}}
    )
    assert int((pieces.stops - pieces.starts).sum()) == int((stops - starts).sum())
    low, high = cells.bounds(pieces.cell)
    assert (low <= pieces.starts).all()
    assert (pieces.stops <= high).all()
    inside = [bool(((first <= a) & (a < last)).any()) for a in pieces.starts.tolist()]
    assert pieces.in_stripe.tolist() == inside
    assert ((high - low)[pieces.in_stripe] <= stripe_bytes).all()


@given(st.integers(1, 30), st.lists(st.integers(0, 2**32), max_size=8), st.booleans())
def test_any_reads_at_any_capacity(capacity, reads, shared):
    cells = Cells(np.array([1_000, 60_000]), np.array([50_000, 90_000]), len(DATA), 7_000)
    fetched = Fetched()
    keeper = Directory(_DIRECTORIES[0], capacity * 3_000) if shared else Ring(capacity * 3_000)
    stripes = Stripes(keeper, at_once)
    for seed in reads:
        edges = np.sort(np.random.default_rng(seed).choice(len(DATA), 8, replace=False)).tolist()
        read(stripes, fetched, cells, edges[0::2], edges[1::2])
    if not shared and capacity == 30:
        assert len(fetched) == len(set(fetched))


_DIRECTORIES: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def directory(tmp_path_factory):
    _DIRECTORIES.append(str(tmp_path_factory.mktemp("stripes")))
    yield
    _DIRECTORIES.clear()


CELLS = Cells(np.array([0]), np.array([len(DATA)]), len(DATA), 10_000)


def test_stripes_are_fetched_once_while_there_is_room():
    stripes, fetched = Stripes(Ring(1 << 20), at_once), Fetched()
    assert read(stripes, fetched, CELLS, [5, 20_000], [6, 40_001]) == 0
    assert [(one.start, one.stop) for one in fetched] == [(n, n + 10_000) for n in (0, 20_000, 30_000, 40_000)]
    assert read(stripes, fetched, CELLS, [0], [100_000]) == 0
    assert len(fetched) == len(set(fetched)) == 10


def test_threads_that_write_at_the_same_time_overwrite_nothing_that_is_kept():
    """Stripes of many sizes, from several threads, in a ring that they go round many times."""
    ring, random = Ring(60_000), np.random.default_rng(3)
    with ThreadPoolExecutor(4) as threads:
        stripes = Stripes(ring, threads.submit)
        for start in random.integers(0, 90_000, 300).tolist():
            cells = Cells(np.array([start]), np.array([start + 1 + start % 9_999]), len(DATA), 4_000)
            read(stripes, Fetched(), cells, [start], [start + 1 + start % 9_999])


def test_what_was_given_up_is_not_read_whole_again():
    stripes, fetched = Stripes(Ring(30_000), at_once), Fetched()
    read(stripes, fetched, CELLS, [0], [50_000])
    assert read(stripes, fetched, CELLS, [5], [6]) == 1
    assert read(stripes, fetched, CELLS, [45_000], [45_100]) == 0
    assert len(fetched) == 5


@pytest.mark.parametrize("shared", [False, True])
def test_the_next_epoch_reads_stripes_whole_again(tmp_path, shared):
    capacity = 20_000
    keeper = Directory(str(tmp_path), capacity) if shared else Ring(capacity)
    stripes, fetched = Stripes(keeper, at_once), Fetched()
    for _ in range(2):
        for start in range(0, 100_000, 10_000):
            assert read(stripes, fetched, CELLS, [start], [start + 9_000]) == 0
            if shared:
                keeper.make_room()
    assert len(fetched) > 12


def test_a_stripe_that_failed_is_asked_for_again():
    stripes = Stripes(Ring(1 << 20), at_once)

    def failing(stripe):
        raise StorageError("cut off")

    with pytest.raises(StorageError, match="cut off"):
        read(stripes, failing, CELLS, [5], [6])
    assert read(stripes, Fetched(), CELLS, [5], [6]) == 0


@pytest.mark.parametrize("shared", [False, True])
def test_a_stripe_that_breaks_off_is_not_kept(tmp_path, shared):
    keeper = Directory(str(tmp_path), 1 << 20) if shared else Ring(1 << 20)
    stripes = Stripes(keeper, at_once)

    def breaking_off(stripe):
        yield DATA[stripe.start : stripe.start + 4_000]
        raise StorageError("cut off")

    with pytest.raises(StorageError, match="cut off"):
        read(stripes, breaking_off, CELLS, [5], [6])
    assert not keeper.holds(Stripe(OBJECT, 0, 10_000))
    assert not list(tmp_path.rglob("*.part")) + list(tmp_path.rglob("*.stripe"))
    assert read(stripes, Fetched(), CELLS, [5], [9_000]) == 0


def test_a_stripe_has_its_place_while_it_comes():
    """Another one that would be written there meanwhile is not kept, and overwrites nothing."""
    ring = Ring(15_000)
    first, second = Stripe(OBJECT, 0, 10_000), Stripe(OBJECT, 10_000, 20_000)

    def slowly():
        yield DATA[:5_000]
        ring.have(second, lambda: iter([DATA[10_000:20_000]]))
        yield DATA[5_000:10_000]

    ring.have(first, slowly)
    assert ring.holds(first)
    assert not ring.holds(second)
    with ring.reading:
        ((file, place),) = ring.places([first])
        assert os.pread(file, 10_000, place) == DATA[:10_000]


def test_processes_share_what_one_of_them_has_fetched(tmp_path):
    one, other = (Stripes(Directory(str(tmp_path), 1 << 20), at_once) for _ in range(2))
    fetched = Fetched()
    read(one, fetched, CELLS, [0], [30_000])
    read(other, fetched, CELLS, [5], [50_000])
    assert len(fetched) == len(set(fetched)) == 5


def test_two_who_want_the_same_at_the_same_time_fetch_it_once(tmp_path):
    fetched, both = Fetched(), threading.Event()

    def slowly(stripe):
        assert both.wait(600)
        return fetched(stripe)

    keepers = [Directory(str(tmp_path), 1 << 20) for _ in range(2)]
    stripe = Stripe(OBJECT, 0, 10_000)
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(keeper.have, stripe, lambda: slowly(stripe)) for keeper in keepers]
        both.set()
        for one in asked:
            one.result()
    assert fetched == [stripe]
    assert all(keeper.holds(stripe) for keeper in keepers)
    assert [path.suffix for path in (tmp_path / f"mixtera-s3-{os.getuid()}").iterdir() if path.stem != "lock"] == [
        ".stripe"
    ]


def test_the_limit_holds_and_the_oldest_makes_room(tmp_path):
    stripes, fetched = Stripes(Directory(str(tmp_path), 160_000), at_once), Fetched()
    for start in range(0, 100_000, 10_000):
        read(stripes, fetched, CELLS, [start], [start + 1])
    files = sorted((tmp_path / f"mixtera-s3-{os.getuid()}").glob("*.stripe"))
    for age, path in enumerate(files):  # all may have been written within one tick of the file system's clock
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    later = Directory(str(tmp_path), 30_000)
    later.have(Stripe(OBJECT, 0, 7), lambda: iter([DATA[:7]]))
    kept = set((tmp_path / f"mixtera-s3-{os.getuid()}").glob("*.stripe"))
    assert kept & set(files) == set(files[:2])
    assert [path.stat().st_size for path in kept - set(files)] == [7]
    assert read(stripes, fetched, CELLS, [0], [100_000]) == 0  # open files stay what they are


HOLDING = """
import os, sys, time
from mixtera_backends.storage.s3.shared import Directory
from mixtera_backends.storage.s3.stretches import Stripe
def never():
    print("fetching", flush=True)
    sys.stdin.read()
Directory(sys.argv[1], 1 << 20).have(Stripe(("bucket", "key", "etag"), 0, 10_000), never)
"""


def test_what_a_killed_process_was_fetching_is_fetched_by_another(tmp_path):
    words = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with patience_with(process):
            assert process.stdout.readline() == "fetching\n"
        stripes, fetched = Stripes(Directory(str(tmp_path), 1 << 20), at_once), Fetched()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert read(stripes, fetched, CELLS, [5], [20]) == 0
    assert len(fetched) == 1
    assert not list((tmp_path / f"mixtera-s3-{os.getuid()}").glob("*.part"))


@pytest.mark.parametrize("shared", [False, True])
def test_a_full_disk_is_named_and_nothing_half_written_is_used(tmp_path, monkeypatch, shared):
    """A limit on the size of files, at which every write fails as on a full disk."""
    monkeypatch.setenv("MIXTERA_SPOOL", str(tmp_path))
    stripes = Stripes(Directory(str(tmp_path), 1 << 20) if shared else Ring(1 << 20), at_once)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"cannot be kept in .*MIXTERA_SPOOL.*MIXTERA_S3_CACHE_MB"):
            read(stripes, Fetched(), CELLS, [5], [20])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.rglob("*.part")) + list(tmp_path.rglob("*.stripe"))
    assert read(stripes, Fetched(), CELLS, [5], [20]) == 0


def test_a_child_that_was_forked_while_room_was_made_does_not_end_that(tmp_path, monkeypatch):
    directory, stripe = Directory(str(tmp_path), 1), Stripe(OBJECT, 0, 10_000)
    with ExitStack() as children:
        with monkeypatch.context() as during:
            during.setattr(Directory, "_remove_unused", lambda here: children.enter_context(bystander()))
            directory.have(stripe, lambda: iter([DATA[:10_000]]))
        assert len(list(tmp_path.rglob("*.stripe"))) == 1
        directory.make_room()
        assert not list(tmp_path.rglob("*.stripe"))


def test_a_file_of_another_size_is_not_used(tmp_path):
    directory = Directory(str(tmp_path), 1 << 20)
    stripe = Stripe(OBJECT, 0, 10_000)
    directory.have(stripe, lambda: iter([DATA[:10_000]]))
    (found,) = (tmp_path / f"mixtera-s3-{os.getuid()}").glob("*.stripe")
    found.write_bytes(b"short")
    assert read(Stripes(Directory(str(tmp_path), 1 << 20), at_once), Fetched(), CELLS, [5], [20]) == 1


@pytest.fixture(params=["alone", "together", "spool"])
def spool(request, monkeypatch, tmp_path):
    """Whether the reader is alone: with a file of its own, one that goes with the readers, or one that stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if request.param == "spool":
        monkeypatch.setenv("MIXTERA_SPOOL", str(tmp_path / "spool"))
        (tmp_path / "spool").mkdir()
    else:
        monkeypatch.delenv("MIXTERA_SPOOL", raising=False)
    return request.param == "alone"


STARTS = np.array([100, 30_000, 60_000, 99_000])
STOPS = np.array([200, 50_000, 60_001, 100_000])
WANTED = [DATA[a:b] for a, b in zip(STARTS.tolist(), STOPS.tolist(), strict=True)]


def opened(url, alone):
    storage = S3Storage()
    whole = np.array([0, 50_000]), np.array([50_000, 80_000])
    return storage.pinned(storage.stat(url)).stretched(*whole, alone).random_access(url)


def test_stretches_come_in_requests_of_their_own(spool, objects, proxy):
    url = f"{new_root()}/a.bin"
    objects.put(url, DATA)
    access = opened(url, spool)
    proxy.requests.clear()
    access.expect(STARTS, STOPS)
    for _ in range(2):
        assert access.gather(STARTS, STOPS).to_pylist() == WANTED
    assert len(proxy.requests) == 3  # two stretches, and a block behind them


def test_the_first_large_records_do_not_wait_for_their_stripes(spool, objects, proxy, monkeypatch):
    """The server answers requests for stripes when the record is there."""
    data, url = DATA * 10, f"{new_root()}/a.bin"
    objects.put(url, data)
    monkeypatch.setenv("MIXTERA_S3_REQUEST_BYTES", "500000")
    storage, is_there = S3Storage(), threading.Event()
    pinned = storage.pinned(storage.stat(url)).stretched(np.array([0]), np.array([len(data)]), alone=spool)
    access = pinned.random_access(url)

    def waiting(have, keeper, stripe, read):
        assert is_there.wait(600)
        have(keeper, stripe, read)

    for kind in (Ring, Directory):
        monkeypatch.setattr(kind, "have", partialmethod(partial(waiting, kind.have)))
    access.expect(np.array([10]), np.array([70_000]))
    assert access.gather(np.array([10]), np.array([70_000])).to_pylist() == [data[10:70_000]]
    is_there.set()
    assert access.gather(np.array([10]), np.array([len(data)])).to_pylist() == [data[10:]]


def test_a_changed_object_is_refused(spool, objects, s3):
    url = f"{new_root()}/a.bin"
    objects.put(url, DATA)
    access = opened(url, spool)
    objects.put(url, DATA[::-1])
    with pytest.raises(StorageError, match="changed since it was indexed"):
        access.gather(STARTS, STOPS)


@pytest.mark.parametrize("fault", ["slow down", "reset", "cut"])
def test_a_stripe_is_tried_again(spool, objects, proxy, fault):
    url = f"{new_root()}/a.bin"
    objects.put(url, DATA)
    access = opened(url, spool)
    proxy.first(2, fault)
    assert access.gather(STARTS, STOPS).to_pylist() == WANTED
    assert len(proxy.met) == 2
