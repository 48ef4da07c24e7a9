"""Properties that take the elements of lists: every format that has them gives what plain Python does."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.contracts.format import PropertyColumn
from mixtera.contracts.properties import PropertyType
from mixtera.errors import SampleError
from mixtera.formats.paths import split_elements, split_path
from mixtera.registry import format_named, storage_of
from mixtera.testing.format import scan_file

KINDS = ("jsonl", "parquet", "arrow")
TAG = pa.struct([("name", pa.string()), ("weight", pa.float64())])
SECTION = pa.struct([("title", pa.string()), ("tags", pa.list_(TAG)), ("words", pa.list_(pa.int64()))])
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("languages", pa.list_(pa.struct([("name", pa.string()), ("share", pa.float64())]))),
        ("meta", pa.struct([("sections", pa.large_list(SECTION))])),
        ("plain", pa.list_(pa.string())),
    ]
)
PATHS: dict[str, tuple[str, PropertyType]] = {
    "names": ("languages[*].name", "list<string>"),
    "shares": ("languages[*].share", "list<float64>"),
    "titles": ("meta.sections[*].title", "list<string>"),
    "tags": ("meta.sections[*].tags[*].name", "list<string>"),
    "words": ("meta.sections[*].words[*]", "list<int64>"),
    "plain": ("plain[*]", "list<string>"),
    "absent": ("absent[*].name", "list<string>"),
}
COLUMNS = tuple(PropertyColumn(name, path, type_) for name, (path, type_) in PATHS.items())


def record(languages=None, sections=None, plain=None, meta=True) -> dict[str, object]:
    return {
        "text": "-",
        "languages": languages,
        "meta": {"sections": sections} if meta else None,
        "plain": plain,
    }


SECTIONS = [
    {"title": "a", "tags": [{"name": "x", "weight": 1.0}, None, {"name": None, "weight": 0.0}], "words": [1, None, 2]},
    None,
    {"title": None, "tags": None, "words": None},
    {"title": "b", "tags": [{"name": "y", "weight": None}], "words": [3]},
]
RECORDS = [
    record([{"name": "en", "share": 0.5}, {"name": None, "share": 0.25}, None], SECTIONS, ["p", None]),
    record(),
    record([], [], [], meta=False),
    record([{"name": "de", "share": None}], SECTIONS[3:], ["q"]),
]


def reference(value: object, pieces: tuple[tuple[str, ...], ...]) -> list[object]:
    """What a path takes of a record, in plain Python."""
    for key in pieces[0]:
        value = value.get(key) if isinstance(value, dict) else None
    if len(pieces) == 1:
        return [] if value is None else [value]
    found = value if isinstance(value, list) else []
    return [inner for element in found for inner in reference(element, pieces[1:])]


def written(directory: Path, kind: str, records: list[dict[str, object]]) -> Path:
    path = directory / f"a.{kind}"
    table = pa.Table.from_pylist(records, SCHEMA)
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=2)
    elif kind == "arrow":
        feather.write_feather(table, str(path), chunksize=2)
    else:
        path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def infer(kind: str, path: Path, **paths: str):
    storage = storage_of(str(path))
    return format_named(kind).infer(storage, [storage.stat(str(path))], paths)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_inside_the_elements(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path, kind, RECORDS)
    found, bad, _, _ = scan_file(format_named(kind), path, COLUMNS)
    assert bad == []
    assert found.column("names").to_pylist() == [["en"], [], [], ["de"]]
    assert found.column("tags").to_pylist() == [["x", "y"], [], [], ["y"]]
    assert found.column("words").to_pylist() == [[1, 2, 3], [], [], [3]]
    for name, (dotted, _) in PATHS.items():
        assert found.column(name).to_pylist() == [reference(one, split_elements(dotted)) for one in RECORDS], name


@pytest.mark.parametrize("kind", KINDS)
def test_their_types_are_inferred(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path, kind, RECORDS)
    expected: dict[str, PropertyType | None] = {name: type_ for name, (_, type_) in PATHS.items()}
    expected["absent"] = None
    assert infer(kind, path, **{name: dotted for name, (dotted, _) in PATHS.items()}) == expected


TEXTS = st.none() | st.text(max_size=3)
TAGS = st.none() | st.lists(st.none() | st.fixed_dictionaries({"name": TEXTS, "weight": st.none()}), max_size=3)
WORDS = st.none() | st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=3)
INNER = st.none() | st.fixed_dictionaries({"title": TEXTS, "tags": TAGS, "words": WORDS})
ANY = st.builds(
    record,
    st.none() | st.lists(st.none() | st.fixed_dictionaries({"name": TEXTS, "share": st.none()}), max_size=3),
    st.none() | st.lists(INNER, max_size=3),
    st.none() | st.lists(TEXTS, max_size=3),
    st.booleans(),
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(records=st.lists(ANY, min_size=1, max_size=5))
def test_any_records(kind: str, records, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = written(tmp_path_factory.mktemp("any"), kind, records)
    found, bad, _, _ = scan_file(format_named(kind), path, COLUMNS)
    assert bad == []
    for name, (dotted, _) in PATHS.items():
        assert found.column(name).to_pylist() == [reference(one, split_elements(dotted)) for one in records], name


@pytest.mark.parametrize(
    ("languages", "reason"),
    [
        ('[{"name": 3}]', "expected string, got 3"),
        ('{"name": "en"}', "'languages' is an object, must be a list"),
        ('"en"', "'languages' is a string, must be a list"),
        ('["en"]', "the way to 'name' is a string, must be an object"),
        ('[{"name": "en"}, {"name": ["de"]}]', 'expected string, got ["de"]'),
    ],
)
def test_lines_that_have_something_else_are_named(languages: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "a"}}\n{{"text": "b", "languages": {languages}}}\n{{"text": "c", "languages": []}}\n')
    found, (bad,), _, _ = scan_file(format_named("jsonl"), path, COLUMNS[:1])
    assert found.column("row").to_pylist() == [0, 2]
    assert (bad.row, bad.reason) == (1, f"property 'names' (languages[*].name): {reason}")


def test_values_of_another_type_in_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "l": [[{"n": 1.0}, {"n": 2.0}], [{"n": 2.5}]]}), path)
    found, (bad,), _, _ = scan_file(format_named("parquet"), path, (PropertyColumn("n", "l[*].n", "list<int64>"),))
    assert found.column("n").to_pylist() == [[1, 2]]
    assert (bad.row, bad.reason) == (1, "property 'n' (l[*].n): expected list<int64>, got [2.5]")


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_elements_of_what_is_no_list(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path, kind, RECORDS)
    with pytest.raises(SampleError, match=r"a\.\w+: 'meta\[\*\]\.x' takes the elements of struct.*, which is no list"):
        scan_file(format_named(kind), path, (PropertyColumn("x", "meta[*].x", "list<string>"),))
    with pytest.raises(SampleError, match="which is no list: leave"):
        infer(kind, path, x="text[*]")


def test_a_list_of_objects_tells_its_keys(tmp_path: Path) -> None:
    path = written(tmp_path, "jsonl", RECORDS)
    with pytest.raises(SampleError, match=r"take one of their keys \(languages\[\*\]\.name, languages\[\*\]\.share\)"):
        infer("jsonl", path, x="languages")


@pytest.mark.parametrize(
    "others", [("languages", "string"), ("languages.name", "string"), ("languages[*]", "list<string>")]
)
def test_paths_that_contradict_each_other(others: tuple[str, PropertyType], tmp_path: Path) -> None:
    path = written(tmp_path, "jsonl", RECORDS)
    for columns in ((COLUMNS[0], PropertyColumn("x", *others)), (PropertyColumn("x", *others), COLUMNS[0])):
        with pytest.raises(SampleError, match="languages"):
            scan_file(format_named("jsonl"), path, columns)


def test_a_field_of_csv_holds_no_list_and_a_text_has_no_properties(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,tags\n-,x\n")
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(
        SampleError, match=r"'tags\[\*\]' takes the elements of a list, and a field of a CSV file holds no"
    ):
        infer("csv", tmp_path / "a.csv", tags="tags[*]")
    with pytest.raises(SampleError, match="a plain text file has no properties"):
        infer("text", tmp_path / "a.txt", tags="tags[*]")


@pytest.mark.parametrize(
    ("path", "pieces"),
    [
        ("a.b", (("a", "b"),)),
        ("a[*]", (("a",), ())),
        ("a[*].b", (("a",), ("b",))),
        ("a.b[*][*].c", (("a", "b"), (), ("c",))),
        ('"a.b"[*].c', (("a.b",), ("c",))),
        ('"a[*]".c', (("a[*]", "c"),)),
        ("a[*]b.c[x]", (("a[*]b", "c[x]"),)),
    ],
)
def test_paths_are_cut_at_elements(path: str, pieces: tuple[tuple[str, ...], ...]) -> None:
    assert split_elements(path) == pieces
    if len(pieces) == 1:
        assert split_path(path) == pieces[0]
    else:
        with pytest.raises(SampleError, match="takes the elements of a list"):
            split_path(path)


@pytest.mark.parametrize("path", ["[*]", "[*].a", "a..b", "a[*].", ".a", '"a', ""])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(SampleError, match="is no path into a record"):
        split_elements(path)
