"""JSONL that one thread reads and another decodes, page by page."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from mixtera.contracts.format import Staged
from mixtera.errors import SampleError
from mixtera.formats.jsonl import Jsonl
from mixtera.formats.jsonl.pages import PAGE_BYTES
from mixtera.testing.format import CONTENT, open_reader, request, scan_file

RECORDS = 400
LONG = PAGE_BYTES // 50


@pytest.fixture
def decoder() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


def opened(path: Path):
    table = scan_file(Jsonl(), path, ())[0]
    return open_reader(Jsonl(), path, CONTENT, 0), request(table, range(len(table)))


def written(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text, "n": n}) + "\n" for n, text in enumerate(texts)))
    return path


def texts_of(number: int) -> list[str]:
    """Texts for eight pages, with escapes here and there, and one that is larger than a page."""
    texts = [f"{number}-{n}" + 'a"\n' * (n % 3) + "b" * LONG for n in range(RECORDS)]
    return [*texts, "c" * (PAGE_BYTES + 10), *texts[:60], ""]


def test_it_is_what_reading_gives(tmp_path: Path, decoder: Executor) -> None:
    assert isinstance(Jsonl(), Staged)
    files = [opened(written(tmp_path / f"{n}.jsonl", texts_of(n))) for n in range(2)]
    found = Jsonl().load(files, decoder)()
    assert found.column(0).to_pylist() == texts_of(0) + texts_of(1)
    assert found.equals(Jsonl().read(files))


def test_one_read_goes_on_while_another_is_not_taken(tmp_path: Path, decoder: Executor) -> None:
    files = [opened(written(tmp_path / f"{n}.jsonl", texts_of(n))) for n in range(3)]
    finishing = [Jsonl().load([file], decoder) for file in files]
    assert [finish().column(0).to_pylist() for finish in finishing] == [texts_of(n) for n in range(3)]


def test_a_page_is_filled_while_another_one_waits_to_be_decoded(tmp_path: Path, decoder: Executor) -> None:
    texts = ["a" * (PAGE_BYTES // 3 * 2), "b" * (PAGE_BYTES // 3 * 2)]
    file, decodes = opened(written(tmp_path / "a.jsonl", texts)), Event()
    decoder.submit(decodes.wait)
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(Jsonl().load, [file], decoder)
        try:
            finish = reading.result(timeout=30)
        finally:
            decodes.set()
    assert finish().column(0).to_pylist() == texts


@pytest.mark.parametrize("line", [0, RECORDS // 2, RECORDS + 30])
def test_a_record_that_changed_is_named_by_what_gives_the_samples(tmp_path: Path, decoder: Executor, line: int) -> None:
    path = written(tmp_path / "a.jsonl", texts_of(0))
    file = opened(path)
    lines = path.read_bytes().split(b"\n")
    lines[line] = b"[" + lines[line][1:]
    path.write_bytes(b"\n".join(lines))
    finish = Jsonl().load([file], decoder)
    with pytest.raises(SampleError, match=re.escape(f"{path}, line {line + 1}:")):
        finish()
    whole = opened(written(tmp_path / "b.jsonl", texts_of(1)))
    assert Jsonl().load([whole], decoder)().column(0).to_pylist() == texts_of(1)  # pages come back all the same


def test_no_request_is_refused(decoder: Executor) -> None:
    with pytest.raises(ValueError, match="no request"):
        Jsonl().load([], decoder)
