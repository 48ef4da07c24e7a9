"""CSV: what is a record, what is not, and what is said of it. Python's own csv module is the second opinion."""

import csv
import datetime
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.contracts.format import ContentColumn, PropertyColumn, ReadRequest
from mixtera.errors import SampleError, StorageError
from mixtera.formats.csv import Csv
from mixtera.formats.csv import read as reading
from mixtera.formats.csv.records import find_records, record_blocks
from mixtera.registry import format_of, storage_of
from mixtera.testing.format import CONTENT, request, scan_file

plugin = Csv()
UTC = datetime.UTC


def written(directory: Path, data: bytes | str, name: str = "a.csv") -> Path:
    path = directory / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def infer(path: Path, **paths: str):
    storage = storage_of(str(path))
    return plugin.infer(storage, [storage.stat(str(path))], paths)


def reader(path: Path, content=CONTENT):
    storage = storage_of(str(path))
    return plugin.reader(storage, storage.stat(str(path)), content, 0)


def texts(path: Path, table) -> list[str]:
    opened = reader(path)
    found = opened.read(request(table, range(table.num_rows)))["text"].to_pylist()
    opened.close()
    return found


def scanned(path: Path, **types: str):
    properties = tuple(PropertyColumn(name, name, type_) for name, type_ in types.items())
    table, bad, facts, _ = scan_file(plugin, path, properties)
    return table, {sample.row: sample.reason for sample in bad}, facts


def test_suffixes_are_known():
    assert {format_of(name).name for name in ("a.csv", "a.TSV", "b/a.csv.gz", "a.tsv.zst", "a.csv.bz2")} == {"csv"}


FIELDS = st.text(st.sampled_from('ab ,;\t"\n\ré😀\\'), max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(FIELDS, min_size=3, max_size=3), max_size=12),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([",", ";", "\t"]),
    st.integers(1, 40),
    st.booleans(),
)
def test_records_are_those_that_were_written(rows, quoting, line_end, delimiter, block_bytes, ended):
    if quoting == csv.QUOTE_MINIMAL:  # which leaves a carriage return without quotes, if it is not the line end
        rows = [[field.replace("\r", "-") for field in row] for row in rows]
    sink = io.StringIO()
    writer = csv.writer(sink, quoting=quoting, lineterminator=line_end, delimiter=delimiter)
    writer.writerows(rows)
    data = sink.getvalue().encode()
    data = data if ended else data.removesuffix(line_end.encode())
    lines = []
    for block, records in record_blocks(io.BytesIO(data), b"", delimiter, block_bytes, None):
        assert records.broken == {}
        lines += [block[start:end] for start, end in zip(records.starts, records.ends, strict=True)]
    found = [next(csv.reader([line.decode()], delimiter=delimiter, strict=True)) for line in lines if line]
    assert found == rows


@settings(max_examples=400, deadline=None)
@given(st.text(st.sampled_from('a,"\n'), max_size=24), st.integers(1, 12))
def test_any_bytes_are_cut_into_the_same_records_whatever_the_blocks(text, block_bytes):
    data = text.encode()
    whole = find_records(np.frombuffer(data, np.uint8), ",", True)
    assert whole.consumed == len(data)
    assert (whole.starts[1:] == whole.stops[:-1]).all()
    assert (whole.stops > whole.starts).all()
    pieces, reasons, offset, count = [], {}, 0, 0
    for _, records in record_blocks(io.BytesIO(data), b"", ",", block_bytes, None):
        pieces += (records.stops + offset).tolist()
        reasons |= {count + number: reason for number, reason in records.broken.items()}
        offset, count = offset + records.consumed, count + len(records.stops)
    assert pieces == whole.stops.tolist()
    assert reasons == whole.broken
    for number, (start, end) in enumerate(zip(whole.starts.tolist(), whole.ends.tolist(), strict=True)):
        if number in whole.broken or start == end:
            continue
        strict = list(csv.reader(io.StringIO(text[start:end], newline=""), strict=True))
        assert len(strict) == 1, "what is not called broken is one record for Python's strict reader too"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(FIELDS, FIELDS), max_size=20), st.sampled_from(["\n", "\r\n"]))
def test_whatever_is_quoted_comes_back(tmp_path_factory, rows, line_end):
    sink = io.StringIO()
    writer = csv.writer(sink, quoting=csv.QUOTE_ALL, lineterminator=line_end)
    writer.writerows([("id", "text"), *rows])
    path = written(tmp_path_factory.mktemp("csv"), sink.getvalue())
    table, bad, facts = scanned(path, id="string")
    assert (bad, facts.rows) == ({}, len(rows))
    assert table["id"].to_pylist() == [row[0] for row in rows]
    assert texts(path, table) == [row[1] for row in rows]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x", "it has 1 field(s) and the header has 2"),
        ("x,y,z", "it has 3 field(s) and the header has 2"),
        ('x,y "z"', "a quote stands inside a field"),
        ('"x"y,z', "text stands behind a closing quote"),
        ("x,y\0z", "NUL byte"),
        ("x,y\rz", "carriage return"),
        ("x,y\udcff", "field 'text' is not valid UTF-8"),
        ("x,", "content field 'text' is empty"),
    ],
)
def test_records_that_cannot_be_used_are_named_and_the_others_kept(tmp_path, line, reason):
    lines = ["id,text", *(f"{i},plain {i}" for i in range(50))]
    lines[3] = lines[41] = line
    path = written(tmp_path, "\n".join(lines).encode("utf-8", "surrogateescape"))
    table, bad, facts = scanned(path, id="string")
    assert list(bad) == [2, 40]
    assert all(reason in found for found in bad.values())
    assert facts.rows == 50
    kept = [i for i in range(50) if i not in (2, 40)]
    assert table["row"].to_pylist() == kept
    assert texts(path, table) == [f"plain {i}" for i in kept]


def test_bad_samples_say_where_they_stand(tmp_path):
    path = written(tmp_path, 'id,text\n1,"a\nb"\n2\n3,c\n')
    _, bad, _, _ = scan_file(plugin, path, ())
    (sample,) = bad
    assert (sample.row, sample.offset, sample.excerpt) == (1, 16, "2")


def test_a_quote_that_is_never_closed_is_one_bad_record(tmp_path):
    table, bad, facts = scanned(written(tmp_path, 'id,text\n1,a\n2,"b\n3,c\n4,d\n'))
    assert (table.num_rows, facts.rows) == (1, 2)
    assert bad == {1: "a quote is never closed"}


def test_a_record_without_an_end_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("mixtera.formats.csv.records.LONGEST_RECORD", 10 << 20)
    path = written(tmp_path, 'id,text\n1,"' + "x" * (30 << 20))
    with pytest.raises(SampleError, match=r"a\.csv: a record does not end within .*is a quote never closed"):
        scanned(path)


def test_a_record_larger_than_a_block(tmp_path):
    large = 'long "text"\n' * (1 << 20)
    path = written(tmp_path, 'id,text\n1,a\n2,"' + large.replace('"', '""') + '"\n3,b\n')
    table, bad, _ = scanned(path)
    assert not bad
    assert texts(path, table) == ["a", large, "b"]


def test_blank_lines_are_no_samples(tmp_path):
    path = written(tmp_path, "text\n\na\n\n\nb\n\n")
    table, bad, facts = scanned(path)
    assert (table["row"].to_pylist(), bad, facts.rows) == ([1, 4], {}, 6)
    assert texts(path, table) == ["a", "b"]


def test_a_million_blank_lines(tmp_path):
    table, bad, facts = scanned(written(tmp_path, "text\n" + "\n" * 1_000_000))
    assert (table.num_rows, bad, facts.rows) == (0, {}, 1_000_000)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"id,text,id\n1,a,2\n", "the header names 'id' more than once"),
        (b"\n1,a\n", "the first line is blank"),
        (b"1,a\n2,b\n", "the header names no field 'text'; it names '1', 'a' (with a comma between fields). The first"),
        (b"id;body\n1;a\n", "it names 'id', 'body' (with a semicolon between fields)"),
        (b"id;text\tbody\n1;a\tb\n", "the header holds a tab and a semicolon"),
        (b'id,te"xt\n1,a\n', "the header cannot be read: bad quoting"),
        (b"id,te\xffxt\n", "the header is not valid UTF-8"),
        (b"id,te\0xt\n", "the header cannot be read: it holds a NUL byte"),
        ("id,text\n1,a\n".encode("utf-16"), "is UTF-16 by its byte order mark"),
        (b'id,"text\n' + b"1,a\n" * 600_000, "the header does not end within 1 MiB"),
    ],
)
def test_headers_that_are_none(tmp_path, data, message):
    path = written(tmp_path, data)
    for use in (scanned, reader):
        with pytest.raises(SampleError, match=r"a\.csv") as error:
            use(path)
        assert message in str(error.value)


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_has_no_records(tmp_path, data):
    path = written(tmp_path, data)
    table, bad, facts = scanned(path)
    assert (table.num_rows, bad, facts.rows) == (0, {}, 0)
    assert reader(path).read(ReadRequest(np.empty(0, np.int64))).num_rows == 0
    assert infer(path, id="id") == {"id": None}


@pytest.mark.parametrize(
    ("name", "header", "names"),
    [
        ("a.csv", "id,text", ("id", "text")),
        ("a.csv", '"i""d","te,x\nt",text', ('i"d', "te,x\nt", "text")),
        ("a.csv", "a;b\ttext", None),
        ("a.csv", "a;b,text", ("a;b", "text")),
        ("a.tsv", "a,b\ttext", ("a,b", "text")),
        ("a.tsv", "a,text", ("a", "text")),
        ("a.csv", ",text", ("", "text")),
        ("a.csv", "2020,text,007,true", ("2020", "text", "007", "true")),
        ("a.csv", "text", ("text",)),
    ],
)
def test_dialects(tmp_path, name, header, names):
    from mixtera.formats.csv.header import parse_header

    path = written(tmp_path, header + "\n", name)
    file = storage_of(str(path)).stat(str(path))
    if names is None:
        with pytest.raises(SampleError, match="what stands between fields is not clear"):
            parse_header(path.read_bytes(), True, file)
    else:
        assert parse_header(path.read_bytes(), True, file).names == names


def test_a_name_with_a_dot_in_it_and_one_in_quotes(tmp_path):
    path = written(tmp_path, 'meta.lang,"a ""b""",text\nen,1,x\n')
    properties = (
        PropertyColumn("lang", "meta.lang", "string"),
        PropertyColumn("other", 'meta."lang"', "string"),
        PropertyColumn("b", 'a "b"', "int64"),
    )
    table, bad, _, _ = scan_file(plugin, path, properties)
    assert not bad
    assert table.select(["lang", "other", "b"]).to_pylist() == [{"lang": "en", "other": None, "b": 1}]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2", "+3", "0", ""], "int64"),
        (["1", "2.5"], "float64"),
        ([".5", "1e3", "nan", "-inf"], "float64"),
        (["true", "False", ""], "bool"),
        (["007", "1"], "string"),
        (["1", "x"], "string"),
        (["2020-02-29"], "date"),
        (["2020-02-29", "2020-02-29T10:00:00"], "timestamp"),
        (["2020-02-29 10:00:00.25+02:00"], "timestamp"),
        (["12345678901234567890"], "float64"),
        (["", '""'], None),
        (["1 ", " 2"], "int64"),
    ],
)
def test_types_are_guessed_with_care(tmp_path, values, expected):
    path = written(tmp_path, "text,p\n" + "".join(f"-,{value}\n" for value in values))
    assert infer(path, p="p") == {"p": expected}


@pytest.mark.parametrize(
    ("type_", "values", "expected", "wrong"),
    [
        ("int64", ["1", "-2", "+3", "", '""', " 4 ", "x", "1.5", "9223372036854775808"], [1, -2, 3, None, None, 4], 3),
        ("float64", ["1", "2.5e3", "nan", "", "x"], [1.0, 2500.0, None, None], 1),
        ("bool", ["true", "False", "", "maybe"], [True, False, None], 1),
        ("date", ["2020-02-29", "", "2021-02-29"], [datetime.date(2020, 2, 29), None], 1),
        (
            "timestamp",
            ["2020-01-02T03:00:00+01:00", "2020-01-02 02:00:00", "", "soon"],
            [datetime.datetime(2020, 1, 2, 2, tzinfo=UTC)] * 2 + [None],
            1,
        ),
        ("string", ["a", '""', "", " b "], ["a", "", None, " b "], 0),
    ],
)
def test_values_of_types(tmp_path, type_, values, expected, wrong):
    path = written(tmp_path, "text,p\n" + "".join(f"-,{value}\n" for value in values))
    table, bad, _ = scanned(path, p=type_)
    assert table["p"].to_pylist() == expected
    assert list(bad) == list(range(len(expected), len(expected) + wrong))
    assert all(f"property 'p' (p): expected {type_}, got" in reason for reason in bad.values())


def test_a_field_is_no_list(tmp_path):
    path = written(tmp_path, 'text,p\n-,"[1, 2]"\n')
    with pytest.raises(SampleError, match="a field of a CSV file holds no list; declare it as string"):
        scanned(path, p="list<string>")


def test_types_that_differ_between_files_are_named(tmp_path):
    storage = storage_of(str(tmp_path))
    paths = [written(tmp_path, "text,p\n-,1\n", "a.csv"), written(tmp_path, "text,p\n-,x\n", "b.csv")]
    with pytest.raises(SampleError, match=r"b\.csv: property 'p' \(p\) is string here and int64 in .*a\.csv"):
        plugin.infer(storage, [storage.stat(str(path)) for path in paths], {"p": "p"})


def test_files_of_several_dialects_and_headers_are_read_together(tmp_path):
    made = [
        ("a.csv", "id,text\n1,a\n2,b"),
        ("b.csv", "text;id\r\nc;3\r\nd;4\r\n"),
        ("c.tsv", "text\n\n\ne\n"),
        ("d.csv", "id,text\n5,f"),
    ]
    asked = []
    for name, data in made:
        path = written(tmp_path, data, name)
        table, bad, _ = scanned(path)
        assert not bad
        asked.append((reader(path), request(table, range(table.num_rows))))
    assert plugin.read(asked)["text"].to_pylist() == ["a", "b", "c", "d", "e", "f"]


def test_large_requests_are_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "PIECE_BYTES", 1000)
    path = written(tmp_path, "id,text\n" + "".join(f"{i},{'x' * (i % 300)}{i}\n" for i in range(2000)))
    table, _, _ = scanned(path)
    assert texts(path, table) == [f"{'x' * (i % 300)}{i}" for i in range(2000)]


def test_a_file_that_was_replaced_by_one_of_the_same_size_is_noticed(tmp_path):
    path = written(tmp_path, "id,text\n1,aaaa\n2,bbbb\n")
    table, _, _ = scanned(path)
    written(tmp_path, "id,text\n1\n\n\n\n\n\n,bbbbbbb")
    with pytest.raises(SampleError, match=r"a\.csv, record 1: .*changed since it was indexed"):
        texts(path, table)


def test_what_is_shown_of_a_record_that_is_none_any_more_can_be_printed(tmp_path):
    path = written(tmp_path, "id,text\n" + "".join(f"{i},some text\n" for i in range(20)))
    table = scan_file(plugin, path, ())[0]
    opened = reader(path)
    path.write_bytes(path.read_bytes().replace(b"3,some text", b"\x1b[2J,\x07,,,\x02.."))
    with pytest.raises(
        SampleError, match=r"record 4: Expected 2 columns, got 5: ·\[2J,·,,,·\.\.; the file changed"
    ) as error:
        opened.read(request(table, range(20)))
    assert str(error.value).isprintable()


def test_a_file_that_was_cut_is_noticed(tmp_path):
    path = written(tmp_path, "id,text\n1,aaaa\n2,bbbb\n")
    table, _, _ = scanned(path)
    opened = reader(path)
    path.write_bytes(path.read_bytes()[:12])
    with pytest.raises(StorageError, match=r"a\.csv changed since it was indexed"):
        opened.read(request(table, [0, 1]))


@pytest.mark.parametrize("cut", [10, 200, -4])
def test_compressed_data_that_are_cut_short_are_named(tmp_path, cut):
    data = gzip.compress(("id,text\n" + "".join(f"{i},{i * 7919}\n" for i in range(5000))).encode())
    path = written(tmp_path, data[:cut], "a.csv.gz")
    with pytest.raises(SampleError, match=r"a\.csv\.gz: the compressed data are cut short"):
        scanned(path)


def test_several_columns_and_one_twice(tmp_path):
    path = written(tmp_path, "id,text,title\n1,a,b\n")
    content = (ContentColumn("x", "title"), ContentColumn("y", "text"), ContentColumn("z", "title"))
    table = scan_file(plugin, path, (), content)[0]
    batch = reader(path, content).read(request(table, [0]))
    assert batch.to_pylist() == [{"x": "b", "y": "a", "z": "b"}]
