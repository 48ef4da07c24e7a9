"""Plain text: a document a file."""

import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest

from mixtera.contracts.format import ContentColumn, PropertyColumn, ReadRequest
from mixtera.errors import SampleError, StorageError
from mixtera.formats.text import Text
from mixtera.registry import format_of, storage_of
from mixtera.testing.format import CONTENT, scan_file

plugin = Text()
ALL = ReadRequest(np.zeros(1, np.int64))


def written(directory: Path, data: bytes, name: str = "a.txt") -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def reader(path: Path, content=CONTENT):
    storage = storage_of(str(path))
    return plugin.reader(storage, storage.stat(str(path)), content, 0)


def bad_reason(path: Path) -> str:
    table, bad, facts, _ = scan_file(plugin, path, ())
    assert (table.num_rows, facts.rows) == (0, 1)
    ((row, reason),) = [(sample.row, sample.reason) for sample in bad]
    assert row == 0
    with pytest.raises(SampleError, match=path.name):
        reader(path).read(ALL)
    return reason


def test_suffixes_are_known():
    assert format_of("a.txt").name == format_of("b/a.TEXT.gz").name == "text"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"\n\n", "\n\n"),
        ("zwölf\r\nBoxkämpfer".encode(), "zwölf\r\nBoxkämpfer"),
        (b"\xef\xbb\xbfmarked", "marked"),
        (b'{"not": "parsed"}\n', '{"not": "parsed"}\n'),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_a_file_is_its_text(tmp_path, data, text, pack):
    path = written(tmp_path, pack(data))
    table, bad, facts, _ = scan_file(plugin, path, ())
    assert (table["row"].to_pylist(), bad, facts.rows) == ([0], [], 1)
    assert facts.content_bytes == len(text.encode())
    opened = reader(path)
    for _ in range(2):
        assert opened.read(ALL)["text"].to_pylist() == [text]
    opened.close()
    with pytest.raises(StorageError, match="is closed"):
        opened.read(ALL)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a\xffb", "not valid UTF-8: invalid start byte at byte 1"),
        ("wide".encode("utf-16"), "UTF-16 by its byte order mark"),
        (b"%PDF-1.4\n\xff", "it looks like a PDF document"),
        (b"a\0b", "a NUL byte at 1: the file is binary"),
    ],
)
def test_what_is_no_text_is_bad(tmp_path, data, reason):
    assert reason in bad_reason(written(tmp_path, data))


def test_a_text_that_is_too_large_is_bad_and_is_not_read_to_its_end(tmp_path, monkeypatch):
    for module in ("document", "read"):
        monkeypatch.setattr(f"mixtera.formats.text.{module}.LARGEST_BYTES", 1 << 20)
    assert "split it" in bad_reason(written(tmp_path, gzip.compress(bytes(b"x" * (64 << 20)))))
    fits = written(tmp_path, b"x" * (1 << 20), "b.txt")
    assert scan_file(plugin, fits, ())[1] == []


def test_there_are_no_properties(tmp_path):
    path = written(tmp_path, b"text")
    storage = storage_of(str(path))
    message = r"a\.txt: property 'p' \(meta\.p\): a plain text file has no properties.*by `dataset`"
    with pytest.raises(SampleError, match=message):
        plugin.infer(storage, [storage.stat(str(path))], {"p": "meta.p"})
    with pytest.raises(SampleError, match=message):
        scan_file(plugin, path, (PropertyColumn("p", "meta.p", "string"),))


def test_the_content_is_called_text(tmp_path):
    path = written(tmp_path, b"text")
    for use in (lambda content: scan_file(plugin, path, (), content), lambda content: reader(path, content)):
        with pytest.raises(SampleError, match=r"no content 'body': .*`content: text`, or `content: {page: text}`"):
            use((ContentColumn("page", "body"),))
    assert reader(path, (ContentColumn("page", "text"),)).read(ALL).to_pylist() == [{"page": "text"}]


def test_many_files_are_read_in_one_go_and_a_bad_one_is_named(tmp_path):
    paths = [written(tmp_path, f"text {i}".encode(), f"{i}.txt") for i in range(20)]
    requests = [(reader(path), ALL) for path in paths]
    nothing = (reader(paths[0]), ReadRequest(np.empty(0, np.int64)))
    assert plugin.read([nothing, *requests])["text"].to_pylist() == [f"text {i}" for i in range(20)]
    written(tmp_path, b"text \xff", "7.txt")
    with pytest.raises(SampleError, match=r"7\.txt: not valid UTF-8.*changed since it was indexed"):
        plugin.read([(reader(path), ALL) for path in paths])


def test_the_second_row_is_not_there(tmp_path):
    with pytest.raises(SampleError, match=r"a\.txt: row 1 is asked for"):
        reader(written(tmp_path, b"x")).read(ReadRequest(np.array([0, 1])))


class CountingStorage:
    """The local storage, counting."""

    def __init__(self, directory: Path) -> None:
        self._storage = storage_of(str(directory))
        self.opens = 0

    def open(self, url: str):
        self.opens += 1
        return self._storage.open(url)

    def __getattr__(self, name: str):
        raise AssertionError(f"a scan asks for {name}")


def test_a_scan_opens_its_file_once_and_asks_for_nothing_else(tmp_path):
    files = [storage_of(str(tmp_path)).stat(str(written(tmp_path, b"x" * i, f"{i}.txt"))) for i in range(50)]
    storage = CountingStorage(tmp_path)
    for file in files:
        scan = plugin.scan(storage, file, (), CONTENT)
        assert [piece.table.num_rows for piece in scan] == [1]
    assert storage.opens == len(files)
