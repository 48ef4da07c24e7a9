"""Chosen samples as columns: types, order, headers of every kind side by side, and files that changed."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mixtera.contracts.format import ContentColumn, ReadRequest
from mixtera.errors import SampleError, StorageError
from mixtera.formats.webdataset import WebDataset
from mixtera.formats.webdataset.page import PAGE_BYTES
from mixtera.registry import storage_of
from mixtera.testing.format import request, scan_file
from tests.formats.webdataset.tars import tar_bytes, write_tar

WEB = WebDataset()
IMAGE, TEXT = ContentColumn("image", "jpg;png"), ContentColumn("text", "json.text")


def opened(path: Path, *content: ContentColumn):
    storage = storage_of(str(path))
    return WEB.reader(storage, storage.stat(str(path)), content, 0)


def index(path: Path, *content: ContentColumn) -> pa.Table:
    table, bad, _, _ = scan_file(WEB, path, (), content)
    assert bad == []
    return table


def mixed(samples: int) -> list[tuple[str, bytes]]:
    """Samples whose names are now and then too long for a header, with one of two kinds of image."""
    members = []
    for i in range(samples):
        key = f"{'long ' * 40 if i % 5 == 2 else ''}{i:05d}"
        members.append((f"{key}.{'png' if i % 3 else 'JPG'}", f"image {i}".encode() * (i % 90)))
        if i % 4:
            members.append((f"{key}.other.bin", bytes(i % 700)))
        members.append((f"{key}.json", b'{"text": "t\\u00e9xt %d"}' % i))
    return members


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_headers_of_all_kinds_side_by_side(form: int, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", mixed(300), form)
    key = ContentColumn("key", "__key__")
    table = index(path, IMAGE, TEXT)
    reader = opened(path, TEXT, IMAGE, key)
    for chosen in (range(300), range(1, 300, 7), [2], [299], []):
        batch = reader.read(request(table, chosen))
        assert batch.schema.types == [pa.string(), pa.binary(), pa.string()]
        assert batch["text"].to_pylist() == [f"téxt {i}" for i in chosen]
        assert batch["image"].to_pylist() == [f"image {i}".encode() * (i % 90) for i in chosen]
        assert [name[-5:] for name in batch["key"].to_pylist()] == [f"{i:05d}" for i in chosen]
    reader.close()


def test_several_files_in_one_read(tmp_path: Path) -> None:
    readers, tables = [], []
    for number, write in enumerate((bytes, gzip.compress, bytes)):
        path = tmp_path / f"{number}.tar"
        members = [(f"{number}-{i}.jpg", f"{number}-{i}".encode()) for i in range(50)]
        path.write_bytes(write(tar_bytes(members)))
        tables.append(index(path, IMAGE))
        readers.append(opened(path, IMAGE))
    chosen = [(0, [1, 3]), (1, [0, 49]), (2, []), (2, [7]), (0, range(50))]
    batch = WEB.read((readers[file], request(tables[file], rows)) for file, rows in chosen)
    assert batch["image"].to_pylist() == [f"{file}-{i}".encode() for file, rows in chosen for i in rows]
    assert readers[0].spooled_bytes == 0
    assert readers[1].spooled_bytes > 50 * 1024


def test_more_than_a_page(tmp_path: Path) -> None:
    """Samples of which a page holds a few, and one that is larger than a page."""
    sizes = [PAGE_BYTES // 3] * 7 + [PAGE_BYTES + 5, 3]
    images = [bytes([i]) * size for i, size in enumerate(sizes)]
    paths = [write_tar(tmp_path / f"{i}.tar", [(f"{i}.jpg", image)]) for i, image in enumerate(images)]
    tables = [index(path, IMAGE) for path in paths]
    for _ in range(2):
        batch = WEB.read((opened(p, IMAGE), request(t, [0])) for p, t in zip(paths, tables, strict=True))
        assert batch["image"].to_pylist() == images


def test_a_read_does_not_change_what_was_delivered_before(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [(f"{i}.jpg", bytes([i]) * 100) for i in range(20)])
    table, reader = index(path, IMAGE), opened(path, IMAGE)
    batches = [reader.read(request(table, [i])) for i in range(20)]
    assert [batch["image"][0].as_py() for batch in batches] == [bytes([i]) * 100 for i in range(20)]


class _Gathering:
    """A storage whose files have no descriptor, such as S3: ranges come through `gather` alone."""

    def __init__(self, inner) -> None:
        self._inner = inner

    def open(self, url: str):
        return self._inner.open(url)

    def random_access(self, url: str):
        return _Gathered(self._inner.random_access(url))


class _Gathered:
    def __init__(self, access) -> None:
        self.size, self.gather, self.close = access.size, access.gather, access.close


@pytest.mark.parametrize("chosen", [range(120), range(1, 120, 3), [], [119]])
def test_storage_without_file_descriptors(chosen, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", mixed(120), tarfile.GNU_FORMAT)
    table, storage = index(path, IMAGE, TEXT), storage_of(str(path))
    reader = WEB.reader(_Gathering(storage), storage.stat(str(path)), (IMAGE, TEXT), 0)
    batch = reader.read(request(table, chosen))
    assert batch["text"].to_pylist() == [f"téxt {i}" for i in chosen]
    assert batch["image"].to_pylist() == [f"image {i}".encode() * (i % 90) for i in chosen]


def changed(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert len(old) == len(new)
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"00001.png", b"00001.gif", "sample 2: "),
        (b"t\\u00e9xt 1", b"t\\u00e9xt \\", "sample 2: malformed JSON"),
        (b'{"text": "t\\u00e9xt 1"}', b'{"next": "t\\u00e9xt 1"}', "content field 'text' is missing"),
    ],
)
def test_a_member_that_changed_is_named(old: bytes, new: bytes, said: str, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", mixed(4), tarfile.GNU_FORMAT)
    table, reader = index(path, IMAGE, TEXT), opened(path, IMAGE, TEXT)
    changed(path, old, new)
    with pytest.raises(SampleError, match="index it again") as error:
        reader.read(request(table, [0, 1, 2]))
    assert said in str(error.value)
    assert "a.tar" in str(error.value)


def test_a_header_that_is_another_now(tmp_path: Path) -> None:
    """The same file, repacked with another image in front: headers lie elsewhere."""
    path = write_tar(tmp_path / "a.tar", [("a.jpg", b"x" * 600), ("b.jpg", b"y")])
    table, reader = index(path, IMAGE), opened(path, IMAGE)
    path.write_bytes(tar_bytes([("a.jpg", b"x"), ("a.txt", b"x"), ("b.jpg", b"y" * 900)]))
    with pytest.raises(SampleError, match=r"a.tar, sample \d: no header of a tar stands here"):
        reader.read(request(table, [1]))


def test_text_that_is_no_text_any_more(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.txt", b"abc"), ("b.txt", "dé".encode()), ("c.txt", b"x")])
    text = ContentColumn("text", "txt")
    table, reader = index(path, text), opened(path, text)
    changed(path, "dé".encode(), b"d\xff\xff")
    with pytest.raises(SampleError, match="sample 2: text is not valid UTF-8"):
        reader.read(request(table, [0, 1, 2]))


@pytest.mark.parametrize(("start", "stop"), [(7, 1024), (0, 511), (0, 1 << 20), (1024, 512)])
def test_ranges_that_are_of_no_sample_are_refused(start: int, stop: int, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.jpg", b"x")])
    one = np.zeros(1, np.int64)
    with pytest.raises(StorageError, match="changed since it was indexed"):
        opened(path, IMAGE).read(ReadRequest(one, one + start, one + stop))


def test_a_closed_reader_says_so(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.jpg", b"x")])
    table, reader = index(path, IMAGE), opened(path, IMAGE)
    reader.close()
    reader.close()
    with pytest.raises(StorageError, match="is closed"):
        reader.read(request(table, [0]))
