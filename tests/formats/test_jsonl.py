import codecs
import datetime
import gzip
import json
import os
import re
import tempfile
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mixtera.contracts.format import ContentColumn, PropertyColumn, ReadRequest
from mixtera.errors import SampleError, StorageError
from mixtera.formats.jsonl import Jsonl, scan
from mixtera.formats.temporary import SPOOL_VARIABLE
from mixtera.registry import format_of, storage_of
from mixtera.testing.format import CONTENT, request, scan_file
from tests.opened import opened_below

jsonl = Jsonl()
YEAR = PropertyColumn("year", "meta.year", "int64")


def written(directory: Path, data: bytes | str, name: str = "a.jsonl") -> Path:
    path = directory / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def reader(path: Path, content=CONTENT):
    storage = storage_of(str(path))
    return jsonl.reader(storage, storage.stat(str(path)), content, 1 << 20)


def infer(path: Path, **paths: str):
    storage = storage_of(str(path))
    return jsonl.infer(storage, [storage.stat(str(path))], paths)


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "b/a.jsonl.zst", "A.JSONL.GZ", "a.ndjson.xz"])
def test_suffixes_are_known(name):
    assert format_of(name).name == "jsonl"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": ', "malformed JSON"),
        ('{"text": "a"} x', "malformed JSON"),
        ('{"text": "a"}{"text": "b"}', "malformed JSON"),
        ('["text"]', "the line is a list, must be an object"),
        ("3", "the line is a number, must be an object"),
        ("{}", "content field 'text' is missing"),
        ('{"text": null}', "content field 'text' is null, must be a string"),
        ('{"text": 3}', "content field 'text' is a number, must be a string"),
        ('{"text": ["a"]}', "content field 'text' is a list, must be a string"),
        ('{"text": "a", "meta": {"year": "abc"}}', "property 'year' (meta.year): expected int64, got \"abc\""),
        ('{"text": "a", "meta": {"year": true}}', "property 'year' (meta.year): expected int64, got true"),
        ('{"text": "a", "meta": {"year": 1.5}}', "property 'year' (meta.year): expected int64, got 1.5"),
        ('{"text": "a", "meta": {"year": 9223372036854775808}}', "expected int64, got 9223372036854775808"),
        ('{"text": "a", "meta": 3}', "property 'year' (meta.year): the way to 'year' is a number, must be an object"),
        ('{"text": "a", "z": NaN}', "malformed JSON: NaN is no JSON value (write null)"),
        ('{"text": "a", "z": [1, -Infinity]}', "malformed JSON: -Infinity is no JSON value (write null)"),
        (b'{"text": "a\xff"}', "not valid UTF-8"),
        ('{"text": "\\ud800"}', "malformed JSON: a string has half of a surrogate pair"),
        ('{"text": "a", "z": "\\uDFFF b"}', "malformed JSON: a string has half of a surrogate pair"),
        ('{"text": "\\ud800', "malformed JSON: Input data was truncated"),
        ('{"text": "a", "z": ' + "[" * 5000 + "]" * 5000 + "}", "nested too deeply"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(tmp_path, line, reason):
    line = line if isinstance(line, bytes) else line.encode()
    good = b'{"text": "x", "meta": {"year": 1999}}\n'
    table, bad, facts, _ = scan_file(jsonl, written(tmp_path, good + line + b"\n" + good), (YEAR,))
    assert table["row"].to_pylist() == [0, 2]
    assert table["year"].to_pylist() == [1999, 1999]
    assert facts.rows == 3
    (sample,) = bad
    assert (sample.row, sample.offset) == (1, len(good))
    assert reason in sample.reason
    assert line.startswith(sample.excerpt.encode()[:10])
    assert len(sample.excerpt) <= 80


def test_blank_lines_count_as_rows_and_are_no_samples(tmp_path):
    path = written(tmp_path, '\n{"text": "a"}\n  \n\r\n{"text": "b"}\n\n')
    table, bad, facts, _ = scan_file(jsonl, path, ())
    assert (table["row"].to_pylist(), bad, facts.rows) == ([1, 4], [], 6)
    assert reader(path).read(request(table, [0, 1]))["text"].to_pylist() == ["a", "b"]


def test_spaces_around_records_are_allowed(tmp_path):
    path = written(tmp_path, ' {"text": "a"} \n\t{"text": "b"}\t\r\n{"text": "c"} ')
    table, bad, _, _ = scan_file(jsonl, path, ())
    assert (table.num_rows, bad) == (3, [])
    assert reader(path).read(request(table, [0, 1, 2]))["text"].to_pylist() == ["a", "b", "c"]


def test_records_over_two_lines_are_bad_even_if_the_number_of_values_is_right(tmp_path):
    path = written(tmp_path, '{"text": "a"}{"text": "b"}\n{"text":\n"c"}\n{"text": "d"}\n')
    table, bad, _, _ = scan_file(jsonl, path, ())
    assert table["row"].to_pylist() == [3]
    assert [sample.row for sample in bad] == [0, 1, 2]


def test_offsets_and_lengths_cut_out_the_records(tmp_path):
    data = b'\xef\xbb\xbf{"text": "a"}\r\n\n{"text": "b\xc3\xa9"}\n{"text": "c"}'
    table, _, facts, _ = scan_file(jsonl, written(tmp_path, data), ())
    cut = [data[o : o + n] for o, n in zip(table["offset"].to_pylist(), table["length"].to_pylist(), strict=True)]
    assert cut == [b'{"text": "a"}', '{"text": "bé"}'.encode(), b'{"text": "c"}']
    assert facts.content_bytes == sum(map(len, cut))


def test_every_property_type(tmp_path):
    record = {
        "text": "a", "s": "é", "i": -(2**63), "f": 2, "b": False, "d": "2020-02-29", "t": "2020-01-02T03:04:05.5+02:00",
        "ls": ["x", None], "li": [1, None, 2], "lf": [1, 2.5],
    }  # fmt: skip
    types = {
        "s": "string", "i": "int64", "f": "float64", "b": "bool", "d": "date", "t": "timestamp",
        "ls": "list<string>", "li": "list<int64>", "lf": "list<float64>",
    }  # fmt: skip
    columns = [PropertyColumn(name, name, type) for name, type in types.items()]
    lines = json.dumps(record) + '\n{"text": "b", "t": "2020-01-02 03:04:05"}\n'
    table, bad, _, _ = scan_file(jsonl, written(tmp_path, lines), columns)
    assert not bad
    first, second = table.select(list(types)).to_pylist()
    utc = datetime.UTC
    assert first == {
        "s": "é", "i": -(2**63), "f": 2.0, "b": False, "d": datetime.date(2020, 2, 29),
        "t": datetime.datetime(2020, 1, 2, 1, 4, 5, 500_000, utc), "ls": ["x"], "li": [1, 2], "lf": [1.0, 2.5],
    }  # fmt: skip
    assert second["t"] == datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=utc)
    assert [second[name] for name in types if name != "t"] == [None] * 5 + [[]] * 3


def test_null_objects_on_the_way_are_null(tmp_path):
    lines = (
        '{"text": "a", "meta": null}\n{"text": "b", "meta": {}}\n{"text": "c"}\n{"text": "d", "meta": {"year": 7}}\n'
    )
    table, bad, _, _ = scan_file(jsonl, written(tmp_path, lines), (YEAR,))
    assert (table["year"].to_pylist(), bad) == ([None, None, None, 7], [])


def test_odd_keys(tmp_path):
    lines = '{"text": "x", "a b": 1, "class": 2, "x-y": {"ü.v": 3}, "": {"f0": 4}}\n'
    columns = [PropertyColumn(str(i), path, "int64") for i, path in enumerate(["a b", "class", 'x-y."ü.v"'])]
    table, bad, _, _ = scan_file(jsonl, written(tmp_path, lines), columns)
    assert not bad
    assert [table[str(i)][0].as_py() for i in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", 'a."b', 'a"b"'])
def test_what_is_no_path_is_refused(tmp_path, path):
    with pytest.raises(SampleError, match="no path into a record"):
        scan_file(jsonl, written(tmp_path, "{}"), (PropertyColumn("p", path, "int64"),))


def test_paths_that_contradict_each_other_are_refused(tmp_path):
    path = written(tmp_path, '{"text": "a"}\n')
    meta = PropertyColumn("meta", "meta", "string")
    for columns in ((meta, YEAR), (YEAR, meta)):
        with pytest.raises(SampleError, match=r"'meta' \(meta\) is an object.*dotted path"):
            scan_file(jsonl, path, columns)
    with pytest.raises(SampleError, match="same field"):
        scan_file(jsonl, path, (YEAR, PropertyColumn("y", "meta.year", "string")))


def test_the_content_may_also_be_a_property(tmp_path):
    path = written(tmp_path, '{"text": "a"}\n{"text": null}\n')
    table, bad, _, _ = scan_file(jsonl, path, (PropertyColumn("t", "text", "string"),))
    assert (table["t"].to_pylist(), len(bad)) == (["a"], 1)


def test_inferred_types(tmp_path):
    records = [
        {"a": None, "n": 1, "m": 1, "l": [], "e": [], "li": [1], "d": "2020-01-01"},
        {"a": None, "n": 2, "m": 2.5, "l": [None, "x"], "li": [2.5], "d": "2020-01-02"},
    ]
    path = written(tmp_path, "".join(json.dumps(record) + "\n" for record in records) + "not json\n")
    assert infer(path, **{name: name for name in records[0]}) == {
        "a": None, "n": "int64", "m": "float64", "l": "list<string>", "e": "list<string>", "li": "list<float64>",
        "d": "string",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["x", 1], r"a\.jsonl, line 2: property 'p' \(p\) is int64 here and string in .*line 1"),
        ([True, 1], "is int64 here and bool"),
        ([{"k": 1}], r"is an object: use a dotted path to one of its keys \(k\)"),
        ([[{"k": 1}]], r"is a list of objects: take one of their keys \(p\[\*\]\.k\)"),
        ([[[1]]], "is a list of something else"),
        ([2**63], r"line 1: property 'p' \(p\) is 9223372036854775808, beyond int64: declare a type of float64"),
        ([[1, -(2**63) - 1]], "is -9223372036854775809, beyond int64"),
    ],
)
def test_types_that_cannot_be_inferred(tmp_path, values, message):
    path = written(tmp_path, "".join(json.dumps({"p": value}) + "\n" for value in values))
    with pytest.raises(SampleError, match=message):
        infer(path, p="p")


EARLY = {"meta": {"s": "x", "i": 1, "f": 1.5, "b": True}}
PATHS = {"s": "meta.s", "i": "meta.i", "f": "meta.f", "b": "meta.b"}


@pytest.mark.parametrize("row", [15, 16, 700, 999])
@pytest.mark.parametrize("line", ['{"meta": {"i": 2.0, "f": 1, "s": null}}', '{"meta": {"i": 1.5}}'])
def test_a_float_is_seen_wherever_it_stands(tmp_path, row, line):
    lines = [json.dumps(EARLY)] * 1000
    lines[row] = line
    assert infer(written(tmp_path, "\n".join(lines)), **PATHS) == {
        "s": "string", "i": "float64", "f": "float64", "b": "bool",
    }  # fmt: skip


@pytest.mark.parametrize("row", [1, 15, 16, 17, 999])
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"meta": {"s": 1}}', r"property 's' \(meta\.s\) is int64 here and string in .*a\.jsonl, line \d+"),
        ('{"meta": {"b": "true"}}', r"property 'b' \(meta\.b\) is string here and bool"),
        ('{"meta": {"i": [1]}}', r"property 'i' \(meta\.i\) is list<int64> here and int64"),
        ('{"meta": {"s": {"k": 1}}}', r"property 's' \(meta\.s\) is an object"),
    ],
)
def test_what_does_not_go_together_is_named_wherever_it_stands(tmp_path, row, line, message):
    lines = [json.dumps(EARLY)] * 1000
    lines[row] = line
    path = written(tmp_path, codecs.BOM_UTF8 + "\r\n".join(lines).encode())
    with pytest.raises(SampleError, match=message) as error:
        infer(path, **PATHS)
    assert str(error.value).startswith(f"{path}, line {row + 1}: ")


@pytest.mark.parametrize(
    "line", ["not json", '{"meta": 3}', '{"meta": null}', "", "[1]", '{"meta": {"s": null}}{}', "{"]
)
def test_records_that_tell_nothing_hide_nothing_that_others_tell(tmp_path, line):
    lines = [json.dumps(EARLY)] * 600
    lines[300] = line
    lines[500] = '{"meta": {"i": 0.5}}'
    assert infer(written(tmp_path, "\n".join(lines)), **PATHS)["i"] == "float64"
    lines[500] = lines[0]
    assert infer(written(tmp_path, "\n".join(lines)), **PATHS)["i"] == "int64"


def test_what_stands_behind_a_thousand_records_is_not_looked_at(tmp_path):
    path = written(tmp_path, "\n".join([json.dumps(EARLY)] * 1000 + ['{"meta": {"i": 0.5}}'] * 5))
    assert infer(path, **PATHS)["i"] == "int64"


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(-1, 1), st.text("ab", max_size=2))
HEADS = st.lists(st.lists(st.builds(lambda a, b: {"a": a, "m": {"b": b}}, VALUES, VALUES), max_size=30), min_size=1)


@given(HEADS.filter(lambda heads: len(heads) < 4))
def test_types_are_what_a_look_at_each_value_tells(tmp_path_factory, heads):
    directory = tmp_path_factory.mktemp("heads")
    paths = [
        written(directory, "".join(json.dumps(record) + "\n" for record in head), f"{number}.jsonl")
        for number, head in enumerate(heads)
    ]
    storage = storage_of(str(directory))

    def inferred(**wanted):
        try:
            return jsonl.infer(storage, [storage.stat(str(path)) for path in paths], wanted)
        except SampleError:
            return None

    seen = {
        "a": [record["a"] for head in heads for record in head],
        "b": [record["m"]["b"] for head in heads for record in head],
    }
    expected = {name: type_of(values) for name, values in seen.items()}
    found = inferred(a="a", b="m.b")
    assert found == (None if "mixed" in expected.values() else expected)


def type_of(values) -> str | None:
    kinds = {type(value) for value in values} - {type(None)}
    if kinds in ({int, float}, {float}):
        return "float64"
    names = {str: "string", bool: "bool", int: "int64"}
    return None if not kinds else names[kinds.pop()] if len(kinds) == 1 else "mixed"


def test_lines_longer_than_a_block(tmp_path):
    long = "x" * (2 * scan.BATCH_BYTES + 17)
    lines = [json.dumps({"text": text}) for text in ("a", long, "b", "c" * scan.BLOCK_BYTES * 3, "d")]
    path = written(tmp_path, "\n".join(lines))
    table, bad, _, size = scan_file(jsonl, path, ())
    assert (table["length"].to_pylist(), bad, size) == ([len(line) for line in lines], [], path.stat().st_size)
    assert reader(path).read(request(table, [1, 4]))["text"].to_pylist() == [long, "d"]


def test_many_blocks_agree_with_one_line_at_a_time(tmp_path):
    random = np.random.default_rng(5)
    lengths = random.integers(0, 3_000, 15_000)
    path = written(tmp_path, "".join(f'{{"text": "{"x" * n}", "meta": {{"year": {n}}}}}\n' for n in lengths.tolist()))
    table, bad, facts, _ = scan_file(jsonl, path, (YEAR,))
    assert path.stat().st_size > 2 * scan.BATCH_BYTES
    assert not bad
    assert table["year"].to_pylist() == lengths.tolist()
    starts = np.cumsum([0, *(len(line) + 1 for line in path.read_bytes().splitlines())])[:-1]
    assert table["offset"].to_pylist() == starts.tolist()
    assert facts.rows == 15_000


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_the_suffix_does_not_matter_the_first_bytes_do(tmp_path, pack):
    for data, name in ((pack(b'{"text": "a"}\n'), "a.jsonl"), (b'{"text": "a"}\n', "a.jsonl.xz")):
        path = written(tmp_path, data, name)
        table, bad, _, _ = scan_file(jsonl, path, ())
        assert (table.num_rows, bad) == (1, [])
        assert reader(path).read(request(table, [0]))["text"].to_pylist() == ["a"]


@pytest.mark.parametrize("cut", [3, 12, -1, -9])
@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_cut_compressed_files_are_named(tmp_path, pack, cut):
    whole = pack(os.urandom(4000).hex().encode())
    path = written(tmp_path, pack(b'{"text": "a"}\n') + whole[:cut], "a.jsonl.gz")
    with pytest.raises(SampleError, match=r"a\.jsonl\.gz.*cut short or broken"):
        scan_file(jsonl, path, ())
    with pytest.raises(SampleError, match=r"a\.jsonl\.gz.*cut short or broken"):
        reader(path)


def test_the_decompressed_copy_is_counted_and_freed(tmp_path, monkeypatch):
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.delenv(SPOOL_VARIABLE, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(spool))
    lines = b'{"text": "a"}\n' * 1000
    path = written(tmp_path, gzip.compress(lines), "a.jsonl.gz")
    table = scan_file(jsonl, path, ())[0]
    first, second = reader(path), reader(path)
    assert len(opened_below(spool)) == 1
    assert first.spooled_bytes == len(lines)
    assert first.held_bytes == 0
    assert list(spool.iterdir()) == []
    first.close()
    assert second.read(request(table, [999]))["text"].to_pylist() == ["a"]
    second.close()
    del first, second
    assert opened_below(tmp_path) == []


def test_a_spool_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(SPOOL_VARIABLE, str(tmp_path / "nowhere"))
    path = written(tmp_path, gzip.compress(b'{"text": "a"}\n'), "a.jsonl.gz")
    with pytest.raises(StorageError, match=f"nowhere.*{SPOOL_VARIABLE}"):
        reader(path)


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    path = written(tmp_path, gzip.compress(b'{"text": "a"}\n' * 100_000), "a.jsonl.gz")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StorageError, match=rf"a\.jsonl\.gz.*cannot be decompressed.*{SPOOL_VARIABLE}"):
            reader(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_large_compressed_file_is_one_group(tmp_path):
    line = json.dumps({"text": "x" * 99_000}).encode() + b"\n"
    for count, group in ((700, (700,)), (20, ())):
        path = written(tmp_path, zstandard.ZstdCompressor(1).compress(line * count), "a.jsonl.zst")
        assert scan_file(jsonl, path, ())[2].group_rows == group


@pytest.mark.parametrize("change", [b'{"text": 12}', b'{"txt": "a"}', b'{"text": "a}', b'{"text": "\xff"}', b"x" * 12])
def test_a_record_that_changed_in_place_is_named(tmp_path, change):
    good = b'{"text": "a"}' + b" " * max(0, len(change) - 13) + b"\n"
    path = written(tmp_path, good * 9)
    table = scan_file(jsonl, path, ())[0]
    data = bytearray(path.read_bytes())
    data[3 * len(good) : 4 * len(good) - 1] = change.ljust(len(good) - 1)
    path.write_bytes(data)
    with pytest.raises(SampleError, match=r"a\.jsonl, line 4: .*changed"):
        reader(path).read(request(table, range(9)))


def test_large_requests_and_escapes_in_any_piece(tmp_path):
    texts = [("plain" if i // 1024 % 2 else 'a\n"\\u') * (i % 9) + "é" * (i % 2) for i in range(9_000)]
    path = written(tmp_path, "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts))
    table = scan_file(jsonl, path, ())[0]
    batch = reader(path).read(request(table, range(9_000)))
    assert batch["text"].to_pylist() == texts
    batch.validate(full=True)


def test_records_asked_for_without_their_line_ends(tmp_path):
    path = written(tmp_path, '{"text": "a"}\n{"text": "b"}\n')
    table = scan_file(jsonl, path, ())[0]
    starts = table["offset"].to_numpy()
    batch = reader(path).read(ReadRequest(np.array([0, 1]), starts, starts + table["length"].to_numpy()))
    assert batch["text"].to_pylist() == ["a", "b"]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
records = st.fixed_dictionaries(
    {}, optional={"text": json_values, "meta": st.fixed_dictionaries({}, optional={"year": json_values}) | json_values}
)
lines = st.one_of(
    st.builds(lambda record, ascii_only: json.dumps(record, ensure_ascii=ascii_only), records, st.booleans()),
    st.sampled_from(["", " ", "{", "}{", '{"text": "ok"}', '{"text": "ok", "meta": {"year": 3}}']),
    st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"]), max_size=10),
)


def is_good(line: bytes) -> bool:
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        return False
    meta = record.get("meta")
    year = meta.get("year") if isinstance(meta, dict) else None
    number = year is None or (type(year) is int and -(2**63) <= year < 2**63)
    return number and (meta is None or isinstance(meta, dict))


@given(st.lists(lines, max_size=12), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_any_lines(tmp_path_factory, texts, line_end, ended):
    """Every line is a sample, a bad sample or blank, as a plain look at it says; and samples read back."""
    try:
        data = (line_end.join(texts) + (line_end if ended else "")).encode()
    except UnicodeEncodeError:
        return
    path = written(tmp_path_factory.getbasetemp(), data, "any.jsonl")
    table, bad, facts, _ = scan_file(jsonl, path, (YEAR,))
    found = [line.removesuffix(b"\r") for line in data.removeprefix(codecs.BOM_UTF8).split(b"\n")]
    found = found[:-1] if data.endswith(b"\n") or not data else found
    good = [i for i, line in enumerate(found) if is_good(line)]
    assert table["row"].to_pylist() == good
    assert [sample.row for sample in bad] == [i for i, line in enumerate(found) if line.strip() and i not in good]
    assert facts.rows == len(found)
    assert all(re.search(r"\S", sample.reason) for sample in bad)
    expected = [json.loads(found[i]) for i in good]
    assert table["year"].to_pylist() == [(record.get("meta") or {}).get("year") for record in expected]
    opened = reader(path)
    assert opened.read(request(table, range(len(good))))["text"].to_pylist() == [r["text"] for r in expected]
    opened.close()


def test_a_content_column_has_the_name_it_was_given(tmp_path):
    content = (ContentColumn("body", "text"),)
    path = written(tmp_path, '{"text": "a"}\n')
    table = scan_file(jsonl, path, (), content)[0]
    assert reader(path, content).read(request(table, [0])).schema == pa.schema([("body", pa.string())])
