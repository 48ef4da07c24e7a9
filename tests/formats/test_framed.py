"""Compressed files of many frames: entered where a frame begins, never read further than needed."""

import bz2
import gzip
import json
import lzma
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.contracts.format import ReadRequest
from mixtera.errors import SampleError, StorageError
from mixtera.formats import kept
from mixtera.formats.csv import Csv
from mixtera.formats.framed import codec, stream
from mixtera.formats.framed import file as framed
from mixtera.formats.hits import hits_here
from mixtera.formats.jsonl import Jsonl
from mixtera.registry import storage_of
from mixtera.testing.format import CONTENT, open_reader, request, scan_file

jsonl = Jsonl()
ZSTD = zstandard.ZstdCompressor(write_checksum=True).compress
PACKERS = {"zstd": ZSTD, "gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
SKIPPABLE = (0x184D2A5E).to_bytes(4, "little") + (6).to_bytes(4, "little") + b"ignore"


@pytest.fixture(autouse=True)
def _every_frame_is_a_piece(monkeypatch):
    monkeypatch.setattr(stream, "SMALLEST_BYTES", 1)


def texts(count: int, length: int = 900) -> list[str]:
    return [f"{i:06d} " + chr(97 + i % 26) * (length + i % 7) for i in range(count)]


def line(text: str) -> bytes:
    return json.dumps({"text": text}).encode() + b"\n"


def written(directory: Path, data: bytes, name: str = "a.jsonl.zst") -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def in_frames(data: bytes, size: int, pack=ZSTD) -> bytes:
    return b"".join(pack(data[i : i + size]) for i in range(0, len(data), size))


def read(path: Path, rows=None, cache_bytes: int = 1 << 24) -> list[str]:
    table, _, facts, _ = scan_file(jsonl, path, ())
    assert facts.frames
    reader = open_reader(jsonl, path, CONTENT, cache_bytes)
    found = reader.read(request(table, range(table.num_rows) if rows is None else rows))["text"].to_pylist()
    reader.close()
    return found


@pytest.fixture
def unpacked(monkeypatch) -> list[int]:
    """The pieces that are decompressed, as they are."""
    found: list[int] = []
    original = framed.FramedFile._unpacked

    def counting(self, piece, packed):
        found.append(piece)
        return original(self, piece, packed)

    monkeypatch.setattr(framed.FramedFile, "_unpacked", counting)
    return found


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_the_index_says_where_frames_begin_and_which_records_begin_in_them(tmp_path, pack):
    frames = [b"".join(map(line, texts(10))), b"".join(map(line, texts(5))), b"".join(map(line, texts(7)))]
    packed = [pack(frame) for frame in frames]
    path = written(tmp_path, b"".join(packed))
    facts = scan_file(jsonl, path, ())[2]
    assert facts.group_rows == (10, 5, 7)
    ends = np.cumsum([[0, 0], *([len(p), len(f)] for p, f in zip(packed, frames, strict=True))], axis=0)
    assert np.array(facts.frames).reshape(-1, 2).tolist() == ends.tolist()


def test_records_that_cross_a_border_belong_to_the_frame_they_begin_in(tmp_path):
    data = b"".join(map(line, texts(100)))
    path = written(tmp_path, in_frames(data, 10_000))
    facts = scan_file(jsonl, path, ())[2]
    starts = np.cumsum([0, *(len(line(text)) for text in texts(100))])[:-1]
    assert facts.group_rows == tuple(np.bincount(starts // 10_000).tolist())
    assert read(path) == texts(100)
    assert read(path, [10, 11, 50, 99]) == [texts(100)[i] for i in (10, 11, 50, 99)]


def test_a_record_longer_than_its_frames(tmp_path):
    long = ["short", "x" * 50_000, "y" * 35, "z" * 20_001, "end"]
    path = written(tmp_path, in_frames(b"".join(map(line, long)), 3_000))
    facts = scan_file(jsonl, path, ())[2]
    assert sum(facts.group_rows) == 5
    assert 0 not in facts.group_rows
    assert read(path) == long
    assert [read(path, [i]) for i in range(5)] == [[text] for text in long]


def test_frames_that_hold_nothing(tmp_path):
    data = [b"".join(map(line, texts(10)[i : i + 5])) for i in (0, 5)]
    pieces = [SKIPPABLE, ZSTD(b""), ZSTD(data[0]), ZSTD(b""), SKIPPABLE, ZSTD(data[1]), ZSTD(b""), SKIPPABLE]
    path = written(tmp_path, b"".join(pieces))
    facts = scan_file(jsonl, path, ())[2]
    assert facts.group_rows == (5, 5)
    assert facts.frames[0:2] == (0, 0)
    assert len(facts.frames) == 6
    assert read(path) == texts(10)


@pytest.mark.parametrize("name", PACKERS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_lines_in_any_frames(name, tmp_path_factory, data):
    found = data.draw(st.lists(st.text('aé\n"\\世', max_size=60), min_size=2, max_size=30))
    whole = b"".join(map(line, found))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), min_size=1, max_size=12)))
    edges = [0, *cuts, len(whole)]
    packed = b"".join(PACKERS[name](whole[a:b]) for a, b in pairwise(edges))
    path = written(tmp_path_factory.mktemp("any"), packed)
    table, _, facts, _ = scan_file(jsonl, path, ())
    assert sum(facts.group_rows) in (0, len(found))
    chosen = sorted(data.draw(st.sets(st.integers(0, len(found) - 1), min_size=1)))
    reader = open_reader(jsonl, path, CONTENT, data.draw(st.sampled_from([0, 100, 1 << 20])))
    for rows in (chosen, range(len(found)), chosen):
        assert reader.read(request(table, rows))["text"].to_pylist() == [found[i] for i in rows]
    reader.close()


def test_small_frames_are_put_together(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "SMALLEST_BYTES", 25_000)
    data = b"".join(map(line, texts(100)))
    path = written(tmp_path, in_frames(data, 10_000))
    plain = np.array(scan_file(jsonl, path, ())[2].frames).reshape(-1, 2)[:, 1]
    assert plain.tolist() == [*range(0, len(data), 30_000), len(data)]
    assert read(path) == texts(100)


def test_one_frame_and_large_frames_are_no_frames(tmp_path, monkeypatch):
    data = b"".join(map(line, texts(100)))
    assert scan_file(jsonl, written(tmp_path, ZSTD(data)), ())[2].frames == ()
    assert scan_file(jsonl, written(tmp_path, ZSTD(data) + SKIPPABLE), ())[2].frames == ()
    monkeypatch.setattr(stream, "LARGEST_BYTES", 9_999)
    facts = scan_file(jsonl, written(tmp_path, in_frames(data, 10_000)), ())[2]
    assert (facts.frames, facts.group_rows) == ((), ())


def test_only_what_is_needed_is_fetched_and_kept(tmp_path, unpacked):
    path = written(tmp_path, in_frames(b"".join(map(line, texts(200))), 10_000))
    table, _, facts, _ = scan_file(jsonl, path, ())
    reader = open_reader(jsonl, path, CONTENT, 30_000)
    first, second = facts.group_rows[0], facts.group_rows[1]
    reader.read(request(table, [0, 1, first + 1]))
    assert unpacked == [0, 1]
    assert reader.held_bytes == 20_000
    reader.read(request(table, [2, first + 2, first + second + 1]))
    assert unpacked == [0, 1, 2]
    reader.read(request(table, range(table.num_rows)))
    assert reader.held_bytes <= 30_000
    reader.close()
    assert reader.held_bytes == 0
    with pytest.raises(StorageError, match=r"a\.jsonl\.zst is closed"):
        reader.read(request(table, [0]))


def test_frames_that_come_again_are_decompressed_once_more_and_then_read_from_disk(tmp_path, unpacked):
    path = written(tmp_path, in_frames(b"".join(map(line, texts(200))), 10_000))
    table, _, facts, _ = scan_file(jsonl, path, ())
    reader = open_reader(jsonl, path, CONTENT, 0)
    before = replace(hits_here())
    for _ in range(5):
        assert reader.read(request(table, range(table.num_rows)))["text"].to_pylist() == texts(200)
    pieces = len(facts.frames) // 2 - 1
    assert len(unpacked) == 2 * pieces
    assert hits_here() == replace(before, hits=before.hits + 3 * pieces, misses=before.misses + 2 * pieces)
    assert reader.held_bytes == 0


def test_no_room_for_copies_is_no_error(tmp_path, unpacked, monkeypatch):
    monkeypatch.setattr(kept, "FREE_SHARE", 1 << 40)
    path = written(tmp_path, in_frames(b"".join(map(line, texts(100))), 10_000))
    table = scan_file(jsonl, path, ())[0]
    reader = open_reader(jsonl, path, CONTENT, 15_000)
    for _ in range(4):
        assert reader.read(request(table, range(100)))["text"].to_pylist() == texts(100)
    assert len(unpacked) >= 30


@pytest.mark.parametrize("name", PACKERS)
def test_a_file_cut_short_is_named_when_it_is_indexed(tmp_path, name):
    whole = in_frames(b"".join(map(line, texts(100))), 30_000, PACKERS[name])
    last = len(in_frames(b"".join(map(line, texts(100)))[90_000:], 30_000, PACKERS[name]))
    for left in (len(whole) - 1, len(whole) - 5, len(whole) - last + 3, len(whole) // 2 + 5):
        path = written(tmp_path, whole[:left])
        with pytest.raises(SampleError, match=r"a\.jsonl\.zst: the compressed data are cut short or broken"):
            scan_file(jsonl, path, ())


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("behind", [bytes(512), b"garbage"])
def test_what_stands_behind_the_last_frame_is_said_to_stand_there(tmp_path, name, behind):
    whole = in_frames(b"".join(map(line, texts(100))), 30_000, PACKERS[name])
    with pytest.raises(SampleError, match=rf"behind byte {len(whole):,}, where the data end, stands something else"):
        scan_file(jsonl, written(tmp_path, whole + behind), ())


@pytest.mark.parametrize(("window_log", "reads"), [(27, True), (28, False), (31, False)])
def test_a_window_that_takes_too_much_memory_is_said_to_be_that(tmp_path, window_log, reads):
    """A frame as `zstd --long` writes it from a pipe: a window, no size, and here one block that is not compressed."""
    data = b"".join(map(line, texts(3)))
    block = (len(data) << 3 | 1).to_bytes(3, "little") + data
    path = written(tmp_path, b"\x28\xb5\x2f\xfd\x00" + bytes([(window_log - 10) << 3]) + block)
    if reads:
        assert scan_file(jsonl, path, ())[0].num_rows == 3
        return
    with pytest.raises(SampleError, match=r"a\.jsonl\.zst is compressed with a window of more .*--long=27"):
        scan_file(jsonl, path, ())


@pytest.mark.parametrize("name", PACKERS)
def test_damage_in_the_middle_is_named_when_it_is_indexed(tmp_path, name):
    whole = bytearray(in_frames(b"".join(map(line, texts(100))), 30_000, PACKERS[name]))
    whole[len(whole) // 2] ^= 0xFF
    with pytest.raises(SampleError, match=r"a\.jsonl\.zst: the compressed data are cut short or broken"):
        scan_file(jsonl, written(tmp_path, bytes(whole)), ())


@pytest.mark.parametrize("name", PACKERS)
def test_a_frame_damaged_later_is_named_with_the_record_and_others_can_be_read(tmp_path, name):
    whole = bytearray(in_frames(b"".join(map(line, texts(100))), 30_000, PACKERS[name]))
    path = written(tmp_path, bytes(whole))
    table, _, facts, _ = scan_file(jsonl, path, ())
    reader = open_reader(jsonl, path, CONTENT, 1 << 20)
    frames = np.array(facts.frames).reshape(-1, 2)
    whole[int(frames[2, 0] + frames[1, 0]) // 2] ^= 0xFF
    path.write_bytes(whole)
    needs = int(np.flatnonzero(table["offset"].to_numpy() + table["length"].to_numpy() + 1 > 30_000)[0])
    assert reader.read(request(table, range(needs)))["text"].to_pylist() == texts(100)[:needs]
    with pytest.raises(
        SampleError, match=rf"a\.jsonl\.zst, line {needs + 1}: the compressed data are broken: .*30,000"
    ):
        reader.read(request(table, range(100)))
    after = facts.group_rows[0] + facts.group_rows[1]
    assert reader.read(request(table, range(after, 100)))["text"].to_pylist() == texts(100)[after:]


def test_a_damaged_checksum_is_noticed(tmp_path):
    data = b"".join(map(line, texts(20)))
    packed = [ZSTD(data[:9_000]), ZSTD(data[9_000:])]
    path = written(tmp_path, b"".join(packed))
    table = scan_file(jsonl, path, ())[0]
    reader = open_reader(jsonl, path, CONTENT, 1 << 20)
    path.write_bytes(packed[0][:-1] + bytes([packed[0][-1] ^ 1]) + packed[1])
    with pytest.raises(SampleError, match=r"line 1: .*[Cc]hecksum"):
        reader.read(request(table, [0]))


def test_a_file_replaced_meanwhile_is_refused(tmp_path):
    path = written(tmp_path, in_frames(b"".join(map(line, texts(100))), 10_000))
    table, _, facts, _ = scan_file(jsonl, path, ())
    storage = storage_of(str(path))
    file, frames = storage.stat(str(path)), np.array(facts.frames).reshape(-1, 2)
    other = b"".join(map(line, [text.upper() for text in texts(100)]))
    path.write_bytes(in_frames(other, 9_000)[: file.size].ljust(file.size, b"\0"))
    reader = jsonl.framed_reader(storage, file, CONTENT, 0, frames)
    with pytest.raises(SampleError, match=r"a\.jsonl\.zst, line \d+: the compressed data are broken"):
        reader.read(request(table, range(100)))
    path.write_bytes(b"short")
    with pytest.raises(StorageError, match=r"a\.jsonl\.zst changed since it was indexed: it had .* and has 5"):
        jsonl.framed_reader(storage, file, CONTENT, 0, frames)
    path.unlink()
    with pytest.raises(StorageError, match=r"a\.jsonl\.zst"):
        jsonl.framed_reader(storage, file, CONTENT, 0, frames)


def test_a_request_beyond_the_end_is_refused(tmp_path):
    path = written(tmp_path, in_frames(b"".join(map(line, texts(100))), 10_000))
    reader = open_reader(jsonl, path, CONTENT, 0)
    beyond = ReadRequest(np.array([100]), np.array([200_000]), np.array([200_100]))
    with pytest.raises(StorageError, match=r"a\.jsonl\.zst changed since it was indexed"):
        reader.read(beyond)


def test_the_last_line_needs_no_line_end(tmp_path):
    path = written(tmp_path, in_frames(b"".join(map(line, texts(50))).rstrip(), 10_000))
    assert read(path) == texts(50)


def test_blank_and_bad_lines_count_as_rows(tmp_path):
    lines = [line(text) if i % 5 else b"\n" if i % 2 else b"{}\n" for i, text in enumerate(texts(100))]
    path = written(tmp_path, in_frames(b"".join(lines), 10_000))
    _, bad, facts, _ = scan_file(jsonl, path, ())
    assert sum(facts.group_rows) == facts.rows == 100
    assert len(bad) == 10
    assert read(path) == [text for i, text in enumerate(texts(100)) if i % 5]


def test_highly_compressed_content_is_scanned_in_bounded_steps(tmp_path, monkeypatch):
    largest = 0
    original = codec.step

    def watched(of, data):
        nonlocal largest
        plain = original(of, data)
        largest = max(largest, len(plain))
        return plain

    monkeypatch.setattr(stream, "step", watched)
    path = written(tmp_path, ZSTD(line("a") + b"\n" * (64 << 20)))
    assert scan_file(jsonl, path, ())[2].rows == (64 << 20) + 1
    assert largest < 200 << 20


def _read_in_child(path: Path) -> list[str]:
    return read(path, [3, 77])


def test_other_processes_read_too(tmp_path):
    path = written(tmp_path, in_frames(b"".join(map(line, texts(100))), 10_000))
    assert read(path, [3, 77]) == [texts(100)[3], texts(100)[77]]
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        assert pool.submit(_read_in_child, path).result() == [texts(100)[3], texts(100)[77]]


def test_csv_is_entered_too(tmp_path):
    rows = "".join(f'{i},"text {i}\nof two lines"\n' for i in range(500)).encode()
    path = written(tmp_path, in_frames(b"id,text\n" + rows, 1_000), "a.csv.zst")
    csv = Csv()
    table, _, facts, _ = scan_file(csv, path, ())
    assert facts.frames
    assert sum(facts.group_rows) == 500
    reader = open_reader(csv, path, CONTENT, 0)
    assert reader.read(request(table, [0, 250, 499]))["text"].to_pylist() == [
        f"text {i}\nof two lines" for i in (0, 250, 499)
    ]
    data = bytearray(path.read_bytes())
    data[facts.frames[20] + 30] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(SampleError, match=r"a\.csv\.zst, record \d+: the compressed data are broken"):
        reader.read(request(table, range(500)))


def test_a_header_that_cannot_be_decompressed_is_named(tmp_path):
    path = written(tmp_path, in_frames(b"id,text\n" + b"1,a\n" * 999, 1_000), "a.csv.zst")
    storage = storage_of(str(path))
    file = replace(storage.stat(str(path)))
    frames = np.array(scan_file(Csv(), path, ())[2].frames).reshape(-1, 2)
    path.write_bytes(bytes(file.size))
    with pytest.raises(SampleError, match=r"a\.csv\.zst: the compressed data are broken"):
        Csv().framed_reader(storage, file, CONTENT, 0, frames)
