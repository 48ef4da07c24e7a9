import datetime
import decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.contracts.format import ContentColumn, PropertyColumn, ReadRequest
from mixtera.errors import SampleError, StorageError
from mixtera.formats.columnar.convert import convert
from mixtera.formats.parquet import Parquet
from mixtera.formats.values import ARROW_TYPES
from mixtera.registry import format_of, storage_of
from mixtera.testing.format import CONTENT, request, scan_file

parquet = Parquet()
UTC = datetime.UTC


def written(directory: Path, table: pa.Table | dict, **options) -> Path:
    path = directory / "a.parquet"
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)
    return path


def column(values, arrow_type=None) -> pa.Table:
    array = pa.array(values, arrow_type)
    return pa.table({"text": ["-"] * len(array), "p": array})


def infer(path: Path, **paths: str):
    storage = storage_of(str(path))
    return parquet.infer(storage, [storage.stat(str(path))], paths)


def reader(path: Path, content=CONTENT, cache_bytes=1 << 24):
    storage = storage_of(str(path))
    return parquet.reader(storage, storage.stat(str(path)), content, cache_bytes)


def scanned(path: Path, property_type: str):
    table, bad, _, _ = scan_file(parquet, path, (PropertyColumn("p", "p", property_type),))
    return table["p"].to_pylist(), [(sample.row, sample.reason) for sample in bad]


def test_suffixes_are_known():
    assert format_of("a/b.parquet").name == format_of("a/b.PQ").name == "parquet"


@pytest.mark.parametrize(
    ("arrow_type", "value", "property_type", "expected"),
    [
        (pa.int8(), 3, "int64", 3),
        (pa.uint64(), 3, "int64", 3),
        (pa.float16(), np.float16(0.5), "float64", 0.5),
        (pa.float32(), 0.5, "float64", 0.5),
        (pa.decimal128(9, 2), decimal.Decimal("1.25"), "float64", 1.25),
        (pa.bool_(), True, "bool", True),
        (pa.large_string(), "é", "string", "é"),
        (pa.dictionary(pa.int8(), pa.string()), "é", "string", "é"),
        (pa.date32(), datetime.date(2020, 2, 29), "date", datetime.date(2020, 2, 29)),
        (
            pa.timestamp("ns"),
            datetime.datetime(2020, 1, 2, 3),
            "timestamp",
            datetime.datetime(2020, 1, 2, 3, tzinfo=UTC),
        ),
        (
            pa.timestamp("ms", "Europe/Berlin"),
            datetime.datetime(2020, 1, 2, 3, tzinfo=UTC),
            "timestamp",
            datetime.datetime(2020, 1, 2, 3, tzinfo=UTC),
        ),
        (pa.list_(pa.string()), ["a", None, "b"], "list<string>", ["a", "b"]),
        (pa.large_list(pa.int32()), [1, None], "list<int64>", [1]),
        (pa.list_(pa.float32()), [0.5, float("nan"), None], "list<float64>", [0.5]),
        (pa.list_(pa.int16(), 2), [1, 2], "list<int64>", [1, 2]),
    ],
)
def test_types_of_columns(tmp_path, arrow_type, value, property_type, expected):
    nothing = [] if property_type.startswith("list") else None
    path = written(tmp_path, column([value, None], arrow_type))
    assert infer(path, p="p") == {"p": property_type}
    assert scanned(path, property_type) == ([expected, nothing], [])


def test_nan_is_null(tmp_path):
    path = written(tmp_path, column([1.5, float("nan"), None, 0.0]))
    assert scanned(path, "float64") == ([1.5, None, None, 0.0], [])


@pytest.mark.parametrize(
    ("values", "arrow_type", "wanted", "kept", "bad"),
    [
        ([1.0, 2.5, float("nan"), 3.0], None, "int64", [1, None, 3], {1: "expected int64, got 2.5"}),
        ([1, 2**64 - 1], pa.uint64(), "int64", [1], {1: "expected int64, got 18446744073709551615"}),
        ([1, 2**53 + 1], None, "float64", [1.0], {1: "expected float64"}),
        (["2020-01-02", "soon"], None, "date", [datetime.date(2020, 1, 2)], {1: "expected date, got soon"}),
        (
            ["2020-01-02T03:00:00+01:00", "2020-01-02T02:00:00", "x", None],
            None,
            "timestamp",
            [datetime.datetime(2020, 1, 2, 2, tzinfo=UTC)] * 2 + [None],
            {2: "expected timestamp, got x"},
        ),
        (
            [[1.0], [1.5], None, [None, 2.0]],
            None,
            "list<int64>",
            [[1], [], [2]],
            {1: "expected list<int64>, got [1.5]"},
        ),
    ],
)
def test_values_that_are_not_of_the_declared_type_are_named(tmp_path, values, arrow_type, wanted, kept, bad):
    found, reasons = scanned(written(tmp_path, column(values, arrow_type)), wanted)
    assert found == kept
    assert [row for row, _ in reasons] == list(bad)
    assert all(part in reason for (_, reason), part in zip(reasons, bad.values(), strict=True))


@pytest.mark.parametrize(
    ("kind", "value", "wanted", "shown"),
    [
        (pa.timestamp("ms"), 2**60, "timestamp", "1,152,921,504,606,846,976 milliseconds after 1970"),
        (pa.timestamp("us"), -(2**61), "timestamp", "-2,305,843,009,213,693,952 microseconds after 1970"),
        (pa.timestamp("us"), 253_402_300_800_000_000, "timestamp", "253,402,300,800,000,000 microseconds after 1970"),
        (pa.timestamp("ms"), 2**55, "date", "36,028,797,018,963,968 milliseconds after 1970"),
        (pa.date32(), 2_932_897, "date", "2,932,897 days after 1970"),
        (pa.date32(), -719_163, "timestamp", "-719,163 days after 1970"),
    ],
)
def test_times_beyond_the_years_of_the_calendar_are_bad_samples(tmp_path, kind, value, wanted, shown):
    whole = pa.int32() if kind == pa.date32() else pa.int64()
    values, bad = scanned(written(tmp_path, column(pa.array([0, value, None], whole).view(kind))), wanted)
    assert [found is None for found in values] == [False, True]
    ((row, reason),) = bad
    assert row == 1
    assert reason == f"property 'p' (p): expected {wanted}, got {shown}, beyond the years 1 to 9999"


def test_the_first_and_the_last_moment_of_the_calendar_are_kept(tmp_path):
    ends = [datetime.datetime(1, 1, 1, tzinfo=UTC), datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
    path = written(tmp_path, column(ends, pa.timestamp("us", "UTC")))
    assert scanned(path, "timestamp") == (ends, [])
    assert scanned(path, "date") == ([end.date() for end in ends], [])


@pytest.mark.parametrize(
    ("values", "wanted", "message"),
    [
        (["a"], "int64", "is of type string and cannot be read as int64: declare it as string"),
        ([1], "string", "declare it as int64"),
        ([True], "int64", "declare it as bool"),
        ([1], "list<int64>", "declare it as int64"),
        ([{"a": 1}], "string", "use a dotted path to one of its fields"),
        ([b"x"], "string", "is of type binary"),
    ],
)
def test_columns_of_another_kind_are_refused(tmp_path, values, wanted, message):
    with pytest.raises(SampleError, match=r"a\.parquet: property 'p' \(p\)") as error:
        scanned(written(tmp_path, column(values)), wanted)
    assert message in str(error.value)


def test_what_cannot_be_inferred(tmp_path):
    with pytest.raises(SampleError, match="is of type binary: it cannot be a property"):
        infer(written(tmp_path, column([b"x"])), p="p")
    assert infer(written(tmp_path, column([None])), p="p", q="q") == {"p": None, "q": None}


def test_integers_in_one_file_and_floats_in_another_are_floats(tmp_path):
    storage = storage_of(str(tmp_path))
    (tmp_path / "b").mkdir()
    paths = [written(tmp_path, column([1])), written(tmp_path / "b", column([1.5]))]
    files = [storage.stat(str(path)) for path in paths]
    assert parquet.infer(storage, files, {"p": "p"}) == {"p": "float64"}
    written(tmp_path / "b", column(["x"]))
    files[1] = storage.stat(str(paths[1]))
    with pytest.raises(SampleError, match=r"is string here and int64 in .*a\.parquet"):
        parquet.infer(storage, files, {"p": "p"})


def test_a_column_whose_name_holds_a_dot_and_a_struct_field(tmp_path):
    table = {"text": ["a", "b"], "meta.lang": ["en", "de"], "info": [{"year": 1}, None]}
    columns = (PropertyColumn("lang", "meta.lang", "string"), PropertyColumn("year", "info.year", "int64"))
    found, bad, _, _ = scan_file(parquet, written(tmp_path, table), columns)
    assert (found["lang"].to_pylist(), found["year"].to_pylist(), bad) == (["en", "de"], [1, None], [])


def test_content_columns_that_are_not_there_are_named_with_those_that_are(tmp_path):
    path = written(tmp_path, {"body": ["a"], "meta": [{"text": "x"}]})
    for call in (lambda content: scan_file(parquet, path, (), content), lambda content: reader(path, content)):
        with pytest.raises(SampleError, match=r"a\.parquet: no content column 'text'.*body, meta"):
            call((ContentColumn("text", "text"),))
        with pytest.raises(SampleError, match=r"'meta' is a struct: name one of its fields \(text\)"):
            call((ContentColumn("text", "meta"),))


@pytest.mark.parametrize("arrow_type", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
@pytest.mark.parametrize("statistics", [True, False])
def test_text_is_a_plain_string_and_null_is_bad(tmp_path, arrow_type, statistics):
    array = (
        pa.array(["a", None, "c"]).dictionary_encode()
        if pa.types.is_dictionary(arrow_type)
        else pa.array(["a", None, "c"], arrow_type)
    )
    path = written(tmp_path, {"text": array}, write_statistics=statistics)
    table, bad, _, _ = scan_file(parquet, path, ())
    assert [(sample.row, sample.reason) for sample in bad] == [(1, "content column 'text' is NULL")]
    batch = reader(path).read(request(table, [0, 1]))
    assert batch.schema == pa.schema([("text", pa.string())])
    assert batch["text"].to_pylist() == ["a", "c"]
    with pytest.raises(SampleError, match=r"a\.parquet, row 1: content column 'text' is NULL"):
        reader(path).read(ReadRequest(np.array([0, 1])))


def test_other_content_is_delivered_as_it_is(tmp_path):
    table = {"image": pa.array([b"\x00", b"\x01"], pa.large_binary()), "ids": [[1, 2], [3]], "label": [7, 8]}
    content = tuple(ContentColumn(name, name) for name in table)
    path = written(tmp_path, table)
    batch = reader(path, content).read(ReadRequest(np.array([1])))
    assert batch.to_pylist() == [{"image": b"\x01", "ids": [3], "label": 8}]
    assert batch.schema.types == [pa.binary(), pa.list_(pa.int64()), pa.int64()]


def test_facts_tell_the_row_groups(tmp_path):
    path = written(tmp_path, {"text": ["x" * 100] * 25}, row_group_size=10)
    facts = scan_file(parquet, path, ())[2]
    assert (facts.rows, facts.group_rows) == (25, (10, 10, 5))
    assert facts.content_bytes > 0


@pytest.mark.parametrize("cut", [0, 3, 30, -1, -20])
def test_files_that_are_not_whole_are_named(tmp_path, cut):
    path = written(tmp_path, {"text": ["x" * 100] * 25})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SampleError, match=r"a\.parquet is no whole Parquet file"):
        scan_file(parquet, path, ())
    with pytest.raises(SampleError, match=r"a\.parquet is no whole Parquet file"):
        reader(path)
    with pytest.raises(SampleError, match=r"a\.parquet is no whole Parquet file"):
        infer(path, p="p")


def test_a_page_that_is_broken_is_named(tmp_path):
    path = written(tmp_path, {"text": [f"text {i}" for i in range(5000)]}, compression="zstd")
    data = bytearray(path.read_bytes())
    data[100:1100] = bytes(1000)
    path.write_bytes(data)
    with pytest.raises(SampleError, match=r"a\.parquet"):
        reader(path).read(ReadRequest(np.arange(5000)))


def test_a_value_that_changed_on_the_disk_is_noticed_where_pages_have_checksums(tmp_path):
    table = {"text": [f"text {i}" for i in range(500)]}
    path = written(tmp_path, table, compression="none", use_dictionary=False, write_page_checksum=True)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"text 300", b"text 3OO"))
    assert path.read_bytes() != data
    with pytest.raises(SampleError, match=r"a\.parquet is no whole Parquet file: .*checksum"):
        reader(path).read(ReadRequest(np.arange(300, 301)))


def not_text(kind: pa.DataType) -> pa.Array:
    """Four values that are text by their type, the second and the last of which are not UTF-8."""
    raw = pa.array([b"a", b"\xff\xfe", b"c", b"\xc3"], pa.binary()).view(pa.string())
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(pa.array([0, 1, 2, 3, 4], pa.int32()), raw)
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), raw)
    return raw.cast(kind)


TEXT_TYPES = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]


@pytest.mark.parametrize("kind", [*TEXT_TYPES, pa.list_(pa.string())])
def test_a_property_that_is_not_utf8_is_a_bad_sample(tmp_path, kind):
    path = written(tmp_path, pa.table({"text": list("wxyz"), "p": not_text(kind)}))
    is_list = pa.types.is_list(kind)
    values, bad = scanned(path, "list<string>" if is_list else "string")
    assert values == ([["a"], ["c"]] if is_list else ["a", "c"])
    wanted = "list<string>" if is_list else "string"
    assert bad == [(row, f"property 'p' (p): expected {wanted}, got text that is not valid UTF-8") for row in (1, 3)]


@pytest.mark.parametrize("kind", TEXT_TYPES)
@pytest.mark.parametrize("cache_bytes", [0, 1 << 24])
def test_content_that_is_not_utf8_is_named_when_it_is_read_and_no_other_row_suffers(tmp_path, kind, cache_bytes):
    opened = reader(written(tmp_path, pa.table({"text": not_text(kind)})), cache_bytes=cache_bytes)
    for _ in range(4):  # from the fourth on, it is read from the spool
        assert opened.read(ReadRequest(np.array([0, 2])))["text"].to_pylist() == ["a", "c"]
        with pytest.raises(SampleError, match=r"a\.parquet, row 3: content column 'text' is not valid UTF-8: write"):
            opened.read(ReadRequest(np.array([2, 3])))


def test_texts_inside_lists_are_checked(tmp_path):
    path = written(tmp_path, pa.table({"tags": not_text(pa.list_(pa.string()))}))
    content = (ContentColumn("tags", "tags"),)
    assert reader(path, content).read(ReadRequest(np.array([0, 2])))["tags"].to_pylist() == [["a"], ["c"]]
    with pytest.raises(SampleError, match=r"a\.parquet, row 1: content column 'tags' is not valid UTF-8"):
        reader(path, content).read(ReadRequest(np.arange(4)))


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = written(tmp_path, pa.Table.from_arrays([pa.array(["a"]), *[pa.array([1])] * 3], ["text", "p", "p", "q"]))
    assert scan_file(parquet, path, (PropertyColumn("q", "q", "int64"),))[0]["q"].to_pylist() == [1]
    with pytest.raises(SampleError, match=r"a\.parquet: 2 columns are named 'p': write the file again with different"):
        scanned(path, "int64")
    with pytest.raises(SampleError, match=r"a\.parquet: 2 columns are named 'p'"):
        infer(path, p="p")
    with pytest.raises(SampleError, match=r"a\.parquet: 2 columns are named 'p'"):
        reader(path, (ContentColumn("text", "p"),))


def test_a_row_beyond_the_file_is_a_changed_file(tmp_path):
    path = written(tmp_path, {"text": ["a"]})
    with pytest.raises(StorageError, match=r"a\.parquet changed since it was indexed: row 1"):
        reader(path).read(ReadRequest(np.array([1])))


def test_the_cache_stays_in_its_bounds_and_large_groups_are_streamed(tmp_path):
    texts = [f"{i} " * 100 for i in range(20_000)]
    path = written(tmp_path, {"text": texts}, row_group_size=2_000, use_dictionary=False)
    group_bytes = sum(map(len, texts[:2000]))
    for cache_bytes, held in (
        (0, 0),
        (group_bytes // 2, 0),
        (3 * group_bytes, group_bytes),
        (1 << 30, 9 * group_bytes),
    ):
        opened = reader(path, cache_bytes=cache_bytes)
        for start in range(0, 20_000, 500):
            rows = np.arange(start, 20_000, 3_001)
            assert opened.read(ReadRequest(rows))["text"].to_pylist() == [texts[i] for i in rows]
            assert opened.held_bytes <= cache_bytes
            if start == 0:
                assert opened.held_bytes >= min(held, 2 * group_bytes)
        assert opened.held_bytes >= held or cache_bytes < 1 << 30
        opened.close()


@given(st.lists(st.floats() | st.none(), max_size=40))
def test_floats_as_integers_name_exactly_the_values_that_are_none(values):
    converted, bad = convert(pa.array(values, pa.float64()), ARROW_TYPES["int64"])
    missing = [value is None or value != value for value in values]
    whole = [
        not gone and value.is_integer() and -(2.0**63) <= value < 2.0**63
        for gone, value in zip(missing, values, strict=True)
    ]
    assert bad.tolist() == [
        i for i, (gone, good) in enumerate(zip(missing, whole, strict=True)) if not gone and not good
    ]
    assert converted.to_pylist() == [int(value) if good else None for good, value in zip(whole, values, strict=True)]
