"""Content cut out by what stands around it: what fits, what must not be taken for the content, and what is refused."""

import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.contracts.format import ContentColumn, ReadRequest
from mixtera.errors import SampleError
from mixtera.formats.jsonl import Jsonl, decode, pages, read
from mixtera.formats.jsonl.frame import frame_of
from mixtera.registry import storage_of
from mixtera.testing.format import CONTENT, request, scan_file

jsonl = Jsonl()


@pytest.fixture
def parsed(monkeypatch):
    """Counts the records that went to the JSON parser."""
    counts = []
    original = decode.Decoder._parsed

    def counted(self, page, parts):
        counts.append(sum(len(part.rows) for part in parts))
        return original(self, page, parts)

    monkeypatch.setattr(decode.Decoder, "_parsed", counted)
    return counts


def opened(path: Path, content=CONTENT):
    storage = storage_of(str(path))
    return jsonl.reader(storage, storage.stat(str(path)), content, 0)


def texts_of(path: Path, lines: list[str], content=CONTENT) -> list[str]:
    path.write_text("".join(line + "\n" for line in lines))
    table, bad, _, _ = scan_file(jsonl, path, (), content)
    assert not bad
    reader = opened(path, content)
    try:
        return reader.read(request(table, range(len(lines))))[0].to_pylist()
    finally:
        reader.close()


TEXTS = ["", "a", 'b","meta":{}', "c\\", '\\","meta":', "d\n\t\x01\x7f", "ü世😀", '"', '"}', "{", "x" * 3000]
LAYOUTS = {
    "first": lambda text: {"text": text, "meta": {"id": len(text), "names": ["a", "b"]}},
    "long rest": lambda text: {"text": text, "other": "y" * 2000},
    "alone": lambda text: {"text": text},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" , ", " : ")])
@pytest.mark.parametrize("line_end", ["", "\r"])
def test_content_that_comes_first_needs_no_parser(tmp_path, parsed, layout, separators, line_end):
    encode = json.JSONEncoder(ensure_ascii=False, separators=separators).encode
    lines = [encode(LAYOUTS[layout](text)) + line_end for text in TEXTS * 9]
    assert texts_of(tmp_path / "a.jsonl", lines) == TEXTS * 9
    assert parsed == []


@pytest.mark.parametrize(
    "lines",
    [
        ['{"text":"a","text":"b"}', '{"text":"c","text":"d"}'],
        ['{"text":"a","z":1}', '{"text":"a","z":1,"text":"b"}'],
        ['{"text":"a","z":1}', '{"text":"a","z":1,"\\u0074ext":"b"}'],
        ['{"text":"a","z":1}', '{"\\u0074ext":"a","z":1}'],
        ['{"text":"a","z":1}', '{"z":1,"text":"b"}'],
        ['{"text":"a","z":1}', '{"z":{"text":"no"},"text":"b"}'],
        ['{"text":"a","z":1}', '{"text":"b","y":{"q":"c","z":1}}'],
        ['{"text":"a","z":1}', '{"text":"b","y":["c","z"],"z":"a"}'],
        ['{"text":"a","z":1}', '{"text": "b","z":1}'],
        ['{"text":"a","z":1}', '{"text":"b" ,"z":1}'],
        ['{"text":"a","z":1}', '{"text":"b"}'],
        ['{"text":"a"}', '{"text":"b","z":"c"}'],
        ['{"text":"a"}', '{"text":"b","text":"c"}'],
        ['{"text":"a","z":1}', '{"text":"\\ud83d\\ude00","z":1}'],
        [' {"text":"a","z":1}', '{"text":"b","z":1} '],
        ['{"z":"text","text":"b"}', '{"z":"\\"text\\":","text":"b"}'],
    ],
)
def test_what_does_not_fit_is_parsed(tmp_path, parsed, lines):
    expected = [json.loads(line)["text"] for line in lines]
    assert texts_of(tmp_path / "a.jsonl", lines * 50) == expected * 50
    assert sum(parsed) == 100


@pytest.mark.parametrize(
    "escape", ["\\u0000", "\\u001f", "\\u0041", "\\u00e9", "\\u00E9", "\\u07ff", "\\u4e16", "\\uffff"]
)
def test_escapes_by_number_need_no_parser(tmp_path, parsed, escape):
    lines = [f'{{"text":"{"long enough " * 9}{escape}\\\\{escape}","z":1}}'] * 3
    assert texts_of(tmp_path / "a.jsonl", lines) == [json.loads(line)["text"] for line in lines]
    assert parsed == []


def test_each_file_may_have_a_frame_of_its_own(tmp_path, parsed):
    encoders = (
        json.JSONEncoder(ensure_ascii=False, separators=(",", ":")),
        json.JSONEncoder(ensure_ascii=False),
        json.JSONEncoder(ensure_ascii=False, sort_keys=True),
    )
    requests = []
    for number, encoder in enumerate(encoders):
        path = tmp_path / f"{number}.jsonl"
        path.write_text("".join(encoder.encode({"text": text, "meta": number}) + "\n" for text in TEXTS))
        requests.append((opened(path), request(scan_file(jsonl, path, ())[0], range(len(TEXTS)))))
    assert jsonl.read(requests)["text"].to_pylist() == TEXTS * 3
    assert parsed == [len(TEXTS)]  # the one whose content comes last


@pytest.mark.parametrize("path", ["meta.text", '"te.xt"', "té", "a\\b", "a/b", "text"])
def test_which_content_has_a_frame(path):
    content = [ContentColumn("text", path)]
    record = msgspec.json.encode({path.strip('"'): "a", "z": 1})
    assert (frame_of(record, content) is not None) == (path in ('"te.xt"', "text"))
    assert frame_of(record, content * 2) is None


def test_files_larger_than_a_page_are_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "PAGE_BYTES", 10_000)
    monkeypatch.setattr(read, "PART_BYTES", 2_500)
    random = np.random.default_rng(3)
    texts = ["é" * int(n) + "\n" for n in random.integers(0, 700, 400)]
    texts[100] = "long" * 8_000
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts))
    table = scan_file(jsonl, path, ())[0]
    reader = opened(path)
    for step in (1, 2, 50):
        found = reader.read(request(table, range(0, 400, step)))
        assert found["text"].to_pylist() == texts[::step]
    reader.close()


RECORD = '{{"text":"{}","z":1}}\n'
GOOD = RECORD.format("abcdefgh")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ('abc"efgh', "malformed"),
        ("abcdefg\\", "malformed"),
        ("abcd\\xyz", "malformed"),
        ("abcd\\u12", "malformed"),
        ("\\u12g4ab", "malformed"),
        ("abc\x01efg", "malformed"),
        ("abc\nefgh", "malformed"),
        ("\\\\\\\\\\\\\\", "malformed"),
        (b"abcd\xff\xfeg", "not valid UTF-8"),
        (b"abcdef\xe4\xb8", "not valid UTF-8"),
        ("\\ud83dxy", "malformed"),
    ],
)
def test_a_content_that_changed_in_place_is_named(tmp_path, changed, reason):
    path = tmp_path / "a.jsonl"
    changed = (changed if isinstance(changed, bytes) else changed.encode()).ljust(8, b"h")
    path.write_text(GOOD * 40)
    table = scan_file(jsonl, path, ())[0]
    data = bytearray(path.read_bytes())
    data[7 * len(GOOD) + 9 : 7 * len(GOOD) + 17] = changed
    path.write_bytes(data)
    reader = opened(path)
    with pytest.raises(SampleError, match=rf"a\.jsonl, line 8: .*{re.escape(reason)}.*changed"):
        reader.read(request(table, range(40)))
    reader.close()


pieces = st.sampled_from(["\\", '"', "\n", '","z":', "}", "{", "text", '"text":', "é", "世", "😀", "a", "\x00", ""])
texts = st.lists(pieces, max_size=8).map("".join)
rests = st.dictionaries(st.sampled_from(["z", "y", "text ", "\\", "é"]), texts | st.integers(), max_size=2)


@given(st.lists(st.tuples(texts, rests), min_size=1, max_size=30), st.booleans(), st.booleans())
def test_any_records_are_as_a_parser_reads_them(tmp_path_factory, records, ascii_only, spaces):
    encode = json.JSONEncoder(ensure_ascii=ascii_only, separators=None if spaces else (",", ":")).encode
    data = "".join(encode({"text": text} | rest) + "\n" for text, rest in records).encode()
    path = tmp_path_factory.getbasetemp() / "any-frame.jsonl"
    path.write_bytes(data)
    stops = np.flatnonzero(np.frombuffer(data, np.uint8) == 10) + 1
    starts = np.append(0, stops[:-1])
    reader = opened(path)
    found = reader.read(ReadRequest(np.arange(len(records)), starts, stops))
    found.validate(full=True)
    assert found["text"].to_pylist() == [text for text, _ in records]
    reader.close()
