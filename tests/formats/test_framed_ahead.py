"""Frames that another thread decompresses before they are needed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, current_thread

import numpy as np
import pytest
import zstandard

import mixtera
from mixtera.contracts.format import ReadRequest, UnpackingReader
from mixtera.errors import MixteraError, SampleError, StorageError
from mixtera.formats import kept
from mixtera.formats.csv import Csv
from mixtera.formats.framed import file as framed
from mixtera.formats.framed import stream
from mixtera.formats.hits import hits_here
from mixtera.formats.jsonl import Jsonl
from mixtera.formats.jsonl.read import JsonlReader
from mixtera.stream import Stream
from mixtera.testing.format import CONTENT, open_reader, request, scan_file

FRAME_BYTES, FRAMES = 10_000, 20
TEXTS = [f"{i:06d} " + chr(97 + i % 26) * 980 for i in range(FRAMES * 10)]
EVERYTHING = FRAME_BYTES * FRAMES


def line(text: str) -> bytes:
    return json.dumps({"text": text}).encode() + b"\n"


def packed(data: bytes) -> list[bytes]:
    pack = zstandard.ZstdCompressor(write_checksum=True).compress
    return [pack(data[i : i + FRAME_BYTES]) for i in range(0, len(data), FRAME_BYTES)]


@dataclass
class Opened:
    """A reader of frames of ten records, and what asks for some of its records."""

    path: Path
    reader: JsonlReader
    table: object

    def rows(self, first: int, last: int) -> ReadRequest:
        """Records [first, last)."""
        return request(self.table, range(first, last))

    def read(self, first: int, last: int) -> list[str]:
        found: list[str] = self.reader.read(self.rows(first, last))["text"].to_pylist()
        return found


@pytest.fixture
def opened(tmp_path, monkeypatch) -> Iterator[Opened]:
    """A reader that keeps nothing in memory, and of whose first five frames there are copies: they came again."""
    monkeypatch.setattr(stream, "SMALLEST_BYTES", 1)
    data = b"".join(map(line, TEXTS))
    assert len(data) == EVERYTHING
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(b"".join(packed(data)))
    found = Opened(path, open_reader(Jsonl(), path, CONTENT, 0), scan_file(Jsonl(), path, ())[0])
    for _ in range(2):
        found.read(0, 50)
    yield found
    found.reader.close()


@pytest.fixture
def unpacked(monkeypatch) -> list[tuple[int, str]]:
    """The pieces that are decompressed, and the threads that do it."""
    found: list[tuple[int, str]] = []
    original = framed.FramedFile._unpacked

    def counting(self, piece, packed):
        found.append((piece, current_thread().name))
        return original(self, piece, packed)

    monkeypatch.setattr(framed.FramedFile, "_unpacked", counting)
    return found


@pytest.fixture
def unpacker() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, "ahead") as thread:
        yield thread


def test_the_other_thread_does_it_once_and_it_counts_as_missing(opened, unpacker, unpacked):
    assert isinstance(opened.reader, UnpackingReader)
    assert opened.reader.unpack(opened.rows(45, 80), unpacker, EVERYTHING) == 3 * FRAME_BYTES
    assert opened.reader.unpack(opened.rows(45, 80), unpacker, EVERYTHING) == 0, "it is at it"
    unpacker.submit(lambda: None).result()
    before = replace(hits_here())
    assert opened.read(45, 80) == TEXTS[45:80]
    assert unpacked == [(piece, "ahead_0") for piece in (5, 6, 7)]
    assert (hits_here().hits - before.hits, hits_here().misses - before.misses) == (1, 3)
    assert opened.read(50, 80) == TEXTS[50:80]
    assert (hits_here().hits - before.hits, hits_here().misses - before.misses) == (4, 3)


def test_no_more_than_allowed_is_given_away(opened, unpacker, unpacked):
    assert opened.reader.unpack(opened.rows(50, 200), unpacker, FRAME_BYTES - 1) == 0
    assert opened.reader.unpack(opened.rows(50, 200), unpacker, 2 * FRAME_BYTES + 1) == 2 * FRAME_BYTES
    unpacker.submit(lambda: None).result()
    assert opened.read(50, 200) == TEXTS[50:]
    assert sorted(piece for piece, _ in unpacked) == list(range(5, 20))
    assert [piece for piece, thread in unpacked if thread == "ahead_0"] == [5, 6]


def test_frames_that_do_not_come_again_are_left_alone(tmp_path, opened, unpacker, unpacked):
    opened.reader.close()
    other = tmp_path / "b.jsonl.zst"
    other.write_bytes(opened.path.read_bytes())
    reader = open_reader(Jsonl(), other, CONTENT, EVERYTHING)
    assert reader.unpack(opened.rows(0, 200), unpacker, EVERYTHING) == 0
    assert unpacked == []
    reader.close()


def test_what_the_other_thread_has_not_begun_is_taken_back(opened, unpacker, unpacked):
    waiting = Event()
    blocker = unpacker.submit(waiting.wait)
    assert opened.reader.unpack(opened.rows(50, 80), unpacker, EVERYTHING) == 3 * FRAME_BYTES
    assert opened.read(50, 80) == TEXTS[50:80]
    assert [piece for piece, _ in unpacked] == [5, 6, 7]
    assert {thread for _, thread in unpacked} == {current_thread().name}
    waiting.set()
    assert blocker.result()
    unpacker.submit(lambda: None).result()
    assert len(unpacked) == 3


def test_what_the_other_thread_is_at_is_waited_for(opened, unpacker, unpacked, monkeypatch):
    begun, go_on = Event(), Event()
    original = framed.unpack

    def slowly(data, target):
        begun.set()
        go_on.wait()
        original(data, target)

    monkeypatch.setattr(framed, "unpack", slowly)
    opened.reader.unpack(opened.rows(50, 60), unpacker, EVERYTHING)
    begun.wait()
    before = hits_here().waited_seconds
    with ThreadPoolExecutor(1) as other:
        other.submit(go_on.set)
        assert opened.read(50, 60) == TEXTS[50:60]
    assert unpacked == [(5, "ahead_0")]
    assert hits_here().waited_seconds > before


def test_without_room_for_copies_they_are_decompressed_again(opened, unpacker, unpacked, monkeypatch):
    monkeypatch.setattr(kept, "FREE_SHARE", 1 << 40)
    monkeypatch.setattr(kept, "VOLUME_BYTES", 1)
    opened.reader.unpack(opened.rows(50, 80), unpacker, EVERYTHING)
    unpacker.submit(lambda: None).result()
    assert opened.read(50, 80) == TEXTS[50:80]
    assert [piece for piece, _ in unpacked] == [5, 6, 7, 5, 6, 7]


def test_a_broken_frame_is_named_by_whoever_reads_it(opened, unpacker):
    data = bytearray(opened.path.read_bytes())
    frames = np.array(scan_file(Jsonl(), opened.path, ())[2].frames).reshape(-1, 2)
    data[int(frames[6, 0] + frames[7, 0]) // 2] ^= 0xFF
    with opened.path.open("r+b") as out:
        out.write(data)
    assert opened.reader.unpack(opened.rows(50, 80), unpacker, EVERYTHING) == 3 * FRAME_BYTES
    unpacker.submit(lambda: None).result()
    with pytest.raises(SampleError, match=r"a\.jsonl\.zst, line 61: the compressed data are broken: .*60,000"):
        opened.read(50, 80)
    assert opened.read(50, 60) == TEXTS[50:60]
    assert opened.read(70, 80) == TEXTS[70:80]


def test_a_file_cut_short_is_an_error_and_so_is_a_closed_one(opened, unpacker):
    os.truncate(opened.path, opened.path.stat().st_size // 2)
    assert opened.reader.unpack(opened.rows(180, 200), unpacker, EVERYTHING) == 2 * FRAME_BYTES
    unpacker.submit(lambda: None).result()
    with pytest.raises(StorageError, match=r"a\.jsonl\.zst changed since it was indexed"):
        opened.read(180, 200)
    opened.reader.close()
    with pytest.raises(StorageError, match=r"a\.jsonl\.zst is closed"):
        opened.reader.unpack(opened.rows(0, 10), unpacker, EVERYTHING)


def test_a_file_stays_open_until_the_other_thread_has_read_it(opened, unpacker, monkeypatch):
    begun, go_on, read = Event(), Event(), []
    original = framed.FramedFile._fetched

    def slowly(self, pieces):
        begun.set()
        go_on.wait()
        found = original(self, pieces)
        read.extend(pieces)
        return found

    monkeypatch.setattr(framed.FramedFile, "_fetched", slowly)
    opened.reader.unpack(opened.rows(50, 60), unpacker, EVERYTHING)
    begun.wait()
    with ThreadPoolExecutor(1) as other:
        other.submit(go_on.set)
        opened.reader.close()
        assert read == [5]


def test_plain_files_have_nothing_to_decompress(tmp_path, unpacker):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(map(line, TEXTS)))
    reader = open_reader(Jsonl(), path, CONTENT, 0)
    assert reader.unpack(request(scan_file(Jsonl(), path, ())[0], range(200)), unpacker, EVERYTHING) == 0
    reader.close()


def test_csv_too(tmp_path, unpacker, unpacked, monkeypatch):
    monkeypatch.setattr(stream, "SMALLEST_BYTES", 1)
    path = tmp_path / "a.csv.zst"
    path.write_bytes(b"".join(packed(b"id,text\n" + "".join(f"{i},{text}\n" for i, text in enumerate(TEXTS)).encode())))
    table = scan_file(Csv(), path, ())[0]
    reader = open_reader(Csv(), path, CONTENT, 0)
    for _ in range(2):
        reader.read(request(table, range(20)))
    unpacked.clear()
    assert reader.unpack(request(table, range(100, 120)), unpacker, EVERYTHING) >= 2 * FRAME_BYTES
    unpacker.submit(lambda: None).result()
    assert reader.read(request(table, range(100, 120)))["text"].to_pylist() == TEXTS[100:120]
    assert {thread for _, thread in unpacked} == {"ahead_0"}
    reader.close()


SPEC = """version: 1
name: ahead
sources:
  data: {path: "data/*.jsonl.zst", content: text, properties: {language: language}}
mixture:
  on_exhaust: repeat
  components:
    - {name: fast, where: {language: en}, weight: 5}
    - {name: slow, where: {language: de}, weight: 1}
order: {seed: 3, lanes: 2, granule: 8, chunk_size: 64}
"""
FILES, STREAMED = 3, 600


@pytest.fixture
def mixed(tmp_path, monkeypatch) -> Path:
    """Two components that go through files of many frames at different speeds, so that frames come again."""
    monkeypatch.setattr(stream, "SMALLEST_BYTES", 1)
    (tmp_path / "data").mkdir()
    for part in range(FILES):
        records = [{"text": f"{part} {text}", "language": ("en", "de")[i % 2]} for i, text in enumerate(TEXTS * 2)]
        lines = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        (tmp_path / "data" / f"{part}.jsonl.zst").write_bytes(b"".join(packed(lines)))
    (tmp_path / "mixture.yaml").write_text(SPEC)
    return tmp_path


def compiled(directory: Path) -> mixtera.Plan:
    spec = mixtera.load(str(directory / "mixture.yaml"))
    catalog = mixtera.Catalog.open(str(directory / "catalog"))
    catalog.index(spec, workers=1)
    return mixtera.compile(spec, catalog)


def delivered(plan: mixtera.Plan, budget_bytes: int, count: int = STREAMED) -> tuple[list[str], MixteraError | None]:
    """Texts of a stream one by one, and what it failed with."""
    found: list[str] = []
    with Stream(plan.data, plan.digest, batch_size=1, budget_bytes=budget_bytes) as batches:
        try:
            while len(found) < count:
                found += next(batches)["text"].to_pylist()
        except MixteraError as error:
            return found, error
        work = batches.statistics().work
        assert work.cache_misses > 0
        assert min(work.storage_seconds, work.decoding_seconds) >= 0
    return found, None


def test_a_stream_delivers_the_same_and_gives_away_what_it_will_need(mixed, monkeypatch):
    given: list[tuple[str, int]] = []
    original = framed.FramedFile.unpack

    def counting(self, *arguments):
        size = original(self, *arguments)
        given.append((current_thread().name.rpartition("_")[0], size))
        return size

    monkeypatch.setattr(framed.FramedFile, "unpack", counting)
    plan = compiled(mixed)
    expected, _ = delivered(plan, 16 << 20)
    assert sum(size for _, size in given) == 0, "all of it stays in memory"
    assert delivered(plan, 60_000) == (expected, None)
    assert {thread for thread, size in given if size} == {"mixtera-fetch"}
    assert sum(size for _, size in given) > FRAME_BYTES


def test_a_stream_fails_where_it_would_have_failed(mixed):
    plan = compiled(mixed)
    expected, _ = delivered(plan, 16 << 20)
    path = mixed / "data" / "1.jsonl.zst"
    status, data = path.stat(), bytearray(path.read_bytes())
    frames = np.array(scan_file(Jsonl(), path, ())[2].frames).reshape(-1, 2)
    data[int(frames[30, 0] + frames[31, 0]) // 2] ^= 0xFF
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    found, error = delivered(plan, 60_000)
    assert isinstance(error, SampleError)
    assert "1.jsonl.zst, line " in str(error)
    assert "the compressed data are broken" in str(error)
    assert 0 < len(found) < STREAMED
    assert found == expected[: len(found)]
