"""Row groups that are needed at several times: decoded once more, then read from temporary disk."""

from __future__ import annotations

import gc
import resource
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixtera.contracts.format import ContentColumn, ReadRequest
from mixtera.errors import SampleError
from mixtera.formats import kept
from mixtera.formats.hits import hits_here
from mixtera.formats.parquet import Parquet
from mixtera.formats.parquet import read as reading
from mixtera.formats.parquet.spool import Group
from mixtera.formats.temporary import SPOOL_VARIABLE
from mixtera.registry import storage_of
from tests.forks import status_in_a_child
from tests.opened import opened_below

parquet = Parquet()
GROUP_ROWS, GROUPS = 100, 12
ROWS = GROUP_ROWS * GROUPS
TEXTS = [f"{i} é " * (i % 37) for i in range(ROWS)]
BODIES = [bytes([i % 251]) * (i % 11) for i in range(ROWS)]
CONTENT = (ContentColumn("text", "text"), ContentColumn("body", "body"))


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the spool."""
    found = tmp_path / "spool"
    found.mkdir()
    monkeypatch.setenv(SPOOL_VARIABLE, str(found))
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path, pa.table({"text": TEXTS, "body": BODIES}))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The row groups that are decoded, as they are."""
    gc.collect()  # readers of other tests hold the spool
    groups: list[int] = []
    whole, pieces = pq.ParquetFile.read_row_group, pq.ParquetFile.iter_batches

    def read_row_group(file, group, *rest, **more):
        groups.append(group)
        return whole(file, group, *rest, **more)

    def iter_batches(file, *rest, row_groups, **more):
        groups.extend(row_groups)
        return pieces(file, *rest, row_groups=row_groups, **more)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", read_row_group)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", iter_batches)
    return groups


def written(directory: Path, table: pa.Table) -> Path:
    path = directory / "a.parquet"
    pq.write_table(table, path, row_group_size=GROUP_ROWS)
    return path


def reader(path: Path, content=CONTENT, cache_bytes=0) -> reading.ParquetReader:
    storage = storage_of(str(path))
    return parquet.reader(storage, storage.stat(str(path)), content, cache_bytes)


def check(opened: reading.ParquetReader, step: int, first: int = 0) -> None:
    rows = np.arange(first, ROWS, step)
    batch = opened.read(ReadRequest(rows))
    batch.validate(full=True)
    assert batch.schema == pa.schema([("text", pa.string()), ("body", pa.binary())])
    assert batch["text"].to_pylist() == [TEXTS[i] for i in rows]
    assert batch["body"].to_pylist() == [BODIES[i] for i in rows]


def drift(opened: reading.ParquetReader) -> None:
    """Read everything twice with no room: what comes after is read from the spool."""
    check(opened, 1)
    check(opened, 1)


@pytest.mark.usefixtures("directory")
def test_a_row_group_is_decoded_three_times_at_most(path, decoded):
    opened, before = reader(path), replace(hits_here())
    for first in range(20):
        check(opened, 7, first)
    assert hits_here().misses - before.misses == len(decoded)
    assert hits_here().hits - before.hits == 20 * GROUPS - len(decoded)
    times = [decoded.count(group) for group in range(GROUPS)]
    assert max(times) == 3
    assert min(times) >= 2


@pytest.mark.usefixtures("directory")
def test_what_the_memory_holds_is_not_copied(path, decoded):
    opened, before = reader(path, cache_bytes=1 << 20), replace(hits_here())
    for first in range(20):
        check(opened, 7, first)
    assert hits_here() == replace(before, hits=before.hits + 19 * GROUPS, misses=before.misses + GROUPS)
    assert sorted(decoded) == list(range(GROUPS))
    assert not opened._spool.wanted


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize("piece_bytes", [1, 300, 4000])
def test_what_is_kept_may_be_decoded_in_pieces(path, decoded, monkeypatch, piece_bytes):
    monkeypatch.setattr(reading, "DECODED_BYTES", piece_bytes)
    opened = reader(path, cache_bytes=1 << 20)
    for step, first in ((1, 0), (3, 1), (97, 50), (ROWS, ROWS - 1), (GROUP_ROWS, GROUP_ROWS - 1)):
        check(opened, step, first)
    assert sorted(decoded) == list(range(GROUPS))
    groups = [opened._spool.kept(opened._group_key(group)) for group in range(GROUPS)]
    assert all(len(group.batches) > 1 for group in groups)
    assert opened.held_bytes == sum(batch.nbytes for group in groups for batch in group.batches)


def test_room_is_made_before_a_piece_is_decoded():
    spool, batch = reading.Spool(), pa.record_batch({"text": pa.array(["x" * 100])})
    group = Group([batch])
    for number in range(3):
        spool.make_room(group.nbytes, 3 * group.nbytes)
        spool.keep((path, number), group, 3 * group.nbytes)
    assert spool.kept_bytes(path) == 3 * group.nbytes
    spool.kept((path, 0))
    spool.make_room(group.nbytes, 3 * group.nbytes)
    assert [number for number in range(3) if spool.kept((path, number))] == [0, 2]
    spool.make_room(1 << 40, 3 * group.nbytes)
    assert not spool.kept_bytes(path)
    spool.decoding((path, 1))
    assert spool.wanted


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
@pytest.mark.parametrize("batch_bytes", [300, 1 << 20])
def test_any_representation_and_any_batches(tmp_path, monkeypatch, kind, batch_bytes):
    monkeypatch.setattr(reading, "BATCH_BYTES", batch_bytes)
    text = pa.array(TEXTS)
    text = text.dictionary_encode() if pa.types.is_dictionary(kind) else text.cast(kind)
    opened = reader(written(tmp_path, pa.table({"text": text, "body": BODIES})))
    drift(opened)
    for step, first in ((1, 0), (3, 1), (97, 50), (ROWS, 0), (ROWS, ROWS - 1), (GROUP_ROWS, GROUP_ROWS - 1)):
        check(opened, step, first)


@pytest.mark.usefixtures("directory")
def test_a_null_is_named_from_the_spool_too(tmp_path):
    texts = [None if i in (17, 430) else text for i, text in enumerate(TEXTS)]
    opened = reader(written(tmp_path, pa.table({"text": texts})), CONTENT[:1])
    good = np.array([i for i in range(ROWS) if texts[i] is not None])
    for _ in range(4):
        assert opened.read(ReadRequest(good))["text"].to_pylist() == [TEXTS[i] for i in good]
        with pytest.raises(SampleError, match=r"a\.parquet, row 430: content column 'text' is NULL"):
            opened.read(ReadRequest(np.array([400, 430, 431])))


@pytest.mark.usefixtures("directory")
def test_content_that_is_no_text_is_not_copied(tmp_path, decoded):
    opened = reader(
        written(tmp_path, pa.table({"ids": [[i, i + 1] for i in range(ROWS)]})), (ContentColumn("ids", "ids"),)
    )
    for _ in range(5):
        assert opened.read(ReadRequest(np.arange(ROWS)))["ids"].to_pylist()[7] == [7, 8]
    assert len(decoded) == 5 * GROUPS


@pytest.mark.usefixtures("directory")
def test_the_oldest_row_groups_make_room(path, tmp_path, monkeypatch):
    group_bytes = sum(map(len, TEXTS[:GROUP_ROWS]))
    monkeypatch.setattr(kept, "VOLUME_BYTES", 2 * group_bytes)
    monkeypatch.setattr(kept, "VOLUMES", 2)
    opened = reader(path)
    for first in range(20):
        check(opened, 7, first)
    gc.collect()
    assert 1 < len(opened_below(tmp_path)) <= 3  # the file and two volumes
    assert 0 < len(opened._spool._copies) < GROUPS


def test_no_directory_and_no_room_are_no_errors(path, tmp_path, monkeypatch):
    monkeypatch.setenv(SPOOL_VARIABLE, str(tmp_path / "nowhere"))
    drift(reader(path))
    monkeypatch.setenv(SPOOL_VARIABLE, str(tmp_path))
    monkeypatch.setattr(kept, "FREE_SHARE", 1 << 40)
    drift(reader(path))


@pytest.mark.usefixtures("directory")
def test_a_disk_that_gets_full_is_no_error(path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        opened = reader(path)
        for first in range(20):
            check(opened, 7, first)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)


def test_nothing_is_left_behind(path, tmp_path, directory):
    first, second = reader(path), reader(path)
    drift(first)
    assert first._spool is second._spool
    assert list(directory.iterdir()) == []
    assert opened_below(directory) != []
    first.close()
    del first
    check(second, 5)
    second.close()
    del second
    gc.collect()
    assert opened_below(tmp_path) == []


@pytest.mark.usefixtures("directory")
def test_a_forked_child_has_a_spool_of_its_own(path):
    opened = reader(path)
    drift(opened)

    def has_one() -> bool:
        own = reader(path)
        drift(own)
        return own._spool is not opened._spool

    assert status_in_a_child(has_one) == 0
    check(opened, 1)
