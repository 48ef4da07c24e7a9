"""The split by hash, exclusion lists and curricula: from the spec to what is delivered, and in which order."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from mixtera.compiler import compile
from mixtera.errors import SpecError
from mixtera.plan import Plan
from mixtera.testing.catalog import MadeFile, MadeSource
from tests.compiler.made import catalog_of, spec_of

ROWS = 700
DAY = datetime.date(2020, 1, 1)
NEXT_DAY = datetime.date(2020, 1, 2)


def record(n: int, more: str = "") -> dict[str, object]:
    """Properties with ties, gaps and every type."""
    return {
        "id": f"doc-{more}{n:04d}",
        "author": f"author {n % 40}" if n % 9 else None,
        "number": n % 17 if n % 11 else None,
        "quality": (n * 7919 % 1000) / 1000 if n % 13 else None,
        "day": DAY + datetime.timedelta(days=n % 5),
        "clean": n % 3 == 0,
    }


TYPES = {"id": "string", "author": "string", "number": "int64", "quality": "float64", "day": "date", "clean": "bool"}
WEB = MadeSource(
    "web",
    TYPES,  # type: ignore[arg-type]
    [
        MadeFile(f"{part}.jsonl", 10 + part, [record(n) for n in range(part * ROWS, (part + 1) * ROWS)])
        for part in range(3)
    ],
)
CODE = MadeSource(
    "code",
    {"id": "string", "stars": "int64"},
    [MadeFile("x.jsonl", 5, [{"id": f"code-{n}", "stars": n % 4} for n in range(300)])],
)
BOTH = (WEB, CODE)
NATURAL = "mixture: {by: dataset}\norder: {chunk_size: 64, lanes: 4, granule: 8}\n"


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Plan]:
    catalog = catalog_of(tmp_path, BOTH)
    return lambda text: compile(spec_of(tmp_path, text, BOTH), catalog)


def table_of(plan: Plan) -> list[dict[str, object]]:
    return plan.samples(0, len(plan)).to_pylist()  # type: ignore[no-any-return]


def ids(plan: Plan) -> list[int]:
    return plan.samples(0, len(plan))["sample"].to_pylist()  # type: ignore[no-any-return]


def properties(row: Mapping[str, object]) -> dict[str, object]:
    """The properties of a delivered sample."""
    source = {source.name: source for source in BOTH}[str(row["source"])]
    file = next(file for file in source.files if file.name == row["file"])
    return dict(file.samples[row["row"]] or {})  # type: ignore[index]


def test_the_two_sides_of_a_split_are_everything_and_never_meet(made: Callable[[str], Plan]) -> None:
    whole = set(ids(made(NATURAL)))
    train = set(ids(made(NATURAL + "holdout: {fraction: 0.1}\n")))
    held_out = set(ids(made(NATURAL + "holdout: {fraction: 0.1, part: holdout}\n")))
    assert train | held_out == whole
    assert not train & held_out
    assert 0.07 < len(held_out) / len(whole) < 0.13


def test_a_split_is_the_same_whatever_the_mixture(made: Callable[[str], Plan]) -> None:
    other = """
filter: clean or dataset == "code"
mixture:
  components: [{name: code, where: {dataset: code}, weight: 9}, {name: rest, weight: 1}]
  on_exhaust: redistribute
order: {seed: 8, shuffle: none}
"""
    one = set(ids(made(NATURAL + "holdout: {fraction: 0.2, part: holdout}\n")))
    two = set(ids(made(other + "holdout: {fraction: 0.2}\n")))
    rest = set(ids(made(other)))
    assert two == rest - one
    assert two != rest


def test_a_larger_fraction_holds_out_more_and_another_salt_others(made: Callable[[str], Plan]) -> None:
    small, large, other = (
        set(ids(made(f"{NATURAL}holdout: {{{options}, part: holdout}}\n")))
        for options in ("fraction: 0.1", "fraction: 0.3", "fraction: 0.3, salt: other")
    )
    assert small < large
    assert 0.15 < len(large & other) / len(large) < 0.45  # as two independent draws have it


def test_values_of_a_property_are_held_out_whole(made: Callable[[str], Plan]) -> None:
    texts = [f"{NATURAL}holdout: {{fraction: 0.3, by: author{part}}}\n" for part in ("", ", part: holdout")]
    sides = [{properties(row).get("author") for row in table_of(made(text))} for text in texts]
    assert sides[0] & sides[1] <= {None}  # samples without an author are on both, each by itself
    assert None in sides[0]
    assert None in sides[1]
    assert 3 <= len(sides[1]) <= 25


@pytest.mark.parametrize("by", ["number", "quality", "day", "clean", "id", "dataset"])
def test_any_property_splits(made: Callable[[str], Plan], by: str) -> None:
    parts = [
        table_of(made(f"{NATURAL}holdout: {{fraction: 0.5, salt: v1, by: {by}, part: {part}}}\n"))
        for part in ("train", "holdout")
    ]
    assert sum(map(len, parts)) == 3 * ROWS + 300
    if by == "dataset":
        assert {row["source"] for row in parts[0]} == {"web"}
        return
    values = [{properties(row).get(by) for row in part} for part in parts]
    assert values[0] & values[1] <= {None}


def written(path: Path, table: pa.Table) -> str:
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    elif path.suffix == ".arrow":
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    else:
        path.write_text("".join(f"{pa.table(row).to_pylist()[0]}\n".replace("'", '"') for row in table.to_batches(1)))
    return str(path)


WEIGHTED = """
mixture:
  components:
    - {name: clean, where: clean, weight: 2}
    - {name: code, where: {dataset: code}, weight: 1}
    - {name: rest, weight: 3}
  on_exhaust: redistribute
order: {seed: 5, chunk_size: 64, lanes: 4, granule: 8}
"""


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl", ".arrow"])
def test_excluded_documents_leave_the_others_in_their_order(
    made: Callable[[str], Plan], tmp_path: Path, suffix: str
) -> None:
    gone = {f"doc-{n:04d}" for n in range(0, 3 * ROWS, 7)} | {"code-5", "no-such-document"}
    path = written(tmp_path / f"gone{suffix}", pa.table({"id": sorted(gone)}))
    one_lane = WEIGHTED.replace("lanes: 4", "lanes: 1")  # with more, lanes deal places out anew inside a round
    before, after = table_of(made(one_lane)), table_of(made(f"{one_lane}exclude: {path}\n"))
    for component in ("clean", "code", "rest"):
        expected = [row for row in before if row["component"] == component and properties(row)["id"] not in gone]
        assert [r["sample"] for r in after if r["component"] == component] == [r["sample"] for r in expected]
    assert len(after) == len(before) - len(gone) + 1


def test_samples_are_excluded_by_id_and_by_place(made: Callable[[str], Plan], tmp_path: Path) -> None:
    before = made(WEIGHTED).samples(0, 10_000)
    gone = before.take(list(range(0, len(before), 5)))
    by_id = written(tmp_path / "ids.parquet", gone.select(["sample"]))
    places = gone.select(["source", "file", "row"]).cast(
        pa.schema([("source", pa.string()), ("file", pa.string()), ("row", pa.int64())])
    )
    by_place = written(tmp_path / "places.parquet", places)
    one, two = made(f"{WEIGHTED}exclude: {by_id}\n"), made(f"{WEIGHTED}exclude: [{by_place}]\n")
    assert one.digest == two.digest != made(WEIGHTED).digest
    assert set(ids(one)) == set(before["sample"].to_pylist()) - set(gone["sample"].to_pylist())
    assert all(one.locate(sample) == [] for sample in gone["sample"].to_pylist()[:20])
    for position in range(0, len(one), 97):
        sample = one.samples(position, position + 1)["sample"][0].as_py()
        assert one.locate(sample) == [position]


def test_several_columns_exclude_together_and_may_be_named_otherwise(
    made: Callable[[str], Plan], tmp_path: Path
) -> None:
    table = pa.table({"who": ["author 1", "author 2", None], "when": [NEXT_DAY, DAY, DAY], "why": ["x", "y", "z"]})
    path = written(tmp_path / "people.parquet", table)
    plan = made(f"{NATURAL}exclude: {{path: {path}, columns: {{author: who, day: when}}}}\n")
    gone = set(ids(made(NATURAL))) - set(ids(plan))
    pairs = {("author 1", NEXT_DAY)}
    expected = {
        row["sample"] for row in table_of(made(NATURAL))
        if (properties(row).get("author"), properties(row).get("day")) in pairs
    }  # fmt: skip
    assert gone == expected != set()


def test_natural_weights_and_repetition_count_what_is_left(made: Callable[[str], Plan], tmp_path: Path) -> None:
    path = written(tmp_path / "half.parquet", pa.table({"clean": [True]}))
    text = "mixture: {by: dataset, on_exhaust: repeat, max_epochs: 2}\n"
    plan = made(f"{text}exclude: {path}\n")
    counts: dict[int, int] = {}
    for sample in ids(plan):
        counts[sample] = counts.get(sample, 0) + 1
    left = sum(not record(n)["clean"] for n in range(3 * ROWS)) + 300
    assert len(plan) == 2 * left
    assert len(counts) == left
    assert set(counts.values()) == {2}
    assert {c.name: c.samples for c in plan.data.components} == {"code": 300, "web": left - 300}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"id": ["nothing"]}), "none of the 1 entries of {path} matches a sample that passes"),
        (pa.table({"sample": [1, 2]}), "none of the 2 entries of {path} matches a sample"),
        (pa.table({"ident": ["x"]}), "the column 'ident' of {path} is no property; ids are a column 'sample'"),
        (pa.table({"sample": ["x"]}), "the column 'sample' of {path} is string; sample ids are int64"),
        (pa.table({"number": ["x"]}), "the column 'number' of {path} is string, number is int64"),
    ],
)  # fmt: skip
def test_a_list_that_means_nothing_is_refused(
    made: Callable[[str], Plan], tmp_path: Path, table: pa.Table, message: str
) -> None:
    path = written(tmp_path / "list.parquet", table)
    with pytest.raises(SpecError) as caught:
        made(f"{NATURAL}exclude: {path}\n")
    assert message.format(path=path) in str(caught.value)
    assert "spec.yaml:24:10: exclude: " in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing else"])
def test_a_list_that_cannot_be_read_is_refused(made: Callable[[str], Plan], tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list.parquet"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"exclude: .*list\.parquet cannot be read"):
        made(f"{NATURAL}exclude: {path}\n")
    with pytest.raises(SpecError, match=r"exclude: .*missing\.csv cannot be read"):
        made(f"{NATURAL}exclude: {tmp_path / 'missing.csv'}\n")


def test_everything_excluded_is_an_error(made: Callable[[str], Plan], tmp_path: Path) -> None:
    path = written(tmp_path / "all.parquet", pa.table({"dataset": ["code"]}))
    with pytest.raises(SpecError, match="component 'code' matches no sample"):
        made(f"{WEIGHTED}exclude: {path}\n")


SORTED = "mixture: {{by: dataset}}\norder: {{by: {by}, chunk_size: 64, granule: 8}}\n"


@pytest.mark.parametrize("by", ["number", "quality", "day", "clean", "number >= 5"])
@pytest.mark.parametrize("descending", [False, True])
def test_a_curriculum_goes_up_or_down_and_ends_with_what_has_no_value(
    made: Callable[[str], Plan], by: str, descending: bool
) -> None:
    key = f"{{value: {by}, descending: {str(descending).lower()}}}"
    plan = made(SORTED.format(by=key))
    rows = [row for row in table_of(plan) if row["component"] == "web"]

    def value(row: dict[str, object]) -> object:
        if by == "number >= 5":
            number = properties(row)["number"]
            return None if number is None else number >= 5  # type: ignore[operator]
        return properties(row)[by]

    values = [value(row) for row in rows]
    known = [v for v in values if v is not None]
    assert values[: len(known)] == sorted(known, reverse=descending)  # type: ignore[type-var]
    assert len(rows) == 3 * ROWS
    assert plan.data.order.lanes == 1


def test_equal_samples_are_shuffled_or_stand_in_file_order(made: Callable[[str], Plan]) -> None:
    shuffled = [row for row in table_of(made(SORTED.format(by="clean"))) if row["component"] == "web"]
    plain = [
        row
        for row in table_of(made("mixture: {by: dataset}\norder: {by: clean, shuffle: none}\n"))
        if row["component"] == "web"
    ]
    order = [(row["file"], row["row"]) for row in plain]
    split = sum(not properties(row)["clean"] for row in plain)
    assert order[:split] == sorted(order[:split])
    assert order[split:] == sorted(order[split:])
    other = [(row["file"], row["row"]) for row in shuffled]
    assert sorted(other[:split]) == order[:split]
    assert other[:split] != order[:split]


def test_several_keys_and_components_of_their_own_order(made: Callable[[str], Plan]) -> None:
    text = """
mixture:
  components:
    - {name: clean, where: clean, weight: 1, order: {by: [day, {value: number, descending: true}]}}
    - {name: code, where: {dataset: code}, weight: 1, order: {shuffle: none}}
    - {name: rest, weight: 1}
  on_exhaust: redistribute
order: {seed: 5, chunk_size: 64, lanes: 1, granule: 8}
"""
    plan = made(text)
    rows = table_of(plan)
    clean = [properties(row) for row in rows if row["component"] == "clean"]
    keys = [(p["day"], p["number"] is None, -(p["number"] or 0)) for p in clean]  # type: ignore[operator]
    assert keys == sorted(keys)
    assert [row["row"] for row in rows if row["component"] == "code"] == list(range(300))
    rest = [(row["file"], row["row"]) for row in rows if row["component"] == "rest"]
    assert rest != sorted(rest)
    for position in range(0, len(plan), 101):
        assert plan.locate(rows[position]["sample"]) == [position]  # type: ignore[arg-type]


def test_a_curriculum_is_saved_opened_and_repeated(made: Callable[[str], Plan], tmp_path: Path) -> None:
    text = SORTED.format(by="quality").replace("by: dataset", "by: dataset, on_exhaust: repeat, max_epochs: 3")
    plan = made(text)
    plan.save(str(tmp_path / "plan"))
    again = Plan.open(str(tmp_path / "plan"))
    assert again.digest == plan.digest
    rows = [row for row in table_of(again) if row["component"] == "web"]
    first, second = ([r["sample"] for r in rows[e * 3 * ROWS : (e + 1) * 3 * ROWS]] for e in (0, 1))
    assert first == second
    sample = first[10]
    assert len(again.locate(sample)) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("id", "by: id is string, and a curriculum goes by int64, float64, bool, date or timestamp"),
        ("dataset", "by: dataset is string"),
        ("nmber", "unknown column 'nmber' in `by`; did you mean 'number'?"),
        ("-number", "has a sign; write {value: number, descending: true}"),
        ("'number >'", "syntax error in the predicate: it ends too early"),
    ],
)
def test_a_curriculum_that_cannot_be_is_refused(made: Callable[[str], Plan], by: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        made(SORTED.format(by=by))
    assert message in str(caught.value)


def test_a_split_that_leaves_no_sample_to_group_is_refused(made: Callable[[str], Plan]) -> None:
    for fraction in (1e-15, 0.000001):
        with pytest.raises(SpecError, match=r"2,400 samples are in the catalog; `holdout` and `exclude` leave none"):
            made(NATURAL + f"holdout: {{fraction: {fraction}, by: clean, part: holdout}}\n")
