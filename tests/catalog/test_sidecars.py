"""Sidecar tables: properties that are joined to samples by an id, or by file and row."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from mixtera.catalog import Catalog, joining
from mixtera.contracts.properties import PropertyType
from mixtera.errors import CatalogError, MixteraError, SampleError, SpecError
from mixtera.spec.model import Property, Sidecar, Source
from tests.catalog.computing import length
from tests.catalog.contents import rows
from tests.catalog.corpus import HERE, properties, source, spec, spoil, touch_later
from tests.catalog.test_computed import computed

IDS = properties(id="id", key="key")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three files of 40 records with ids 0 … 119 and keys `k0` … `k119`; returns the directory."""
    for number in range(3):
        path = tmp_path / "data" / f"{number % 2}" / f"part-{number}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        numbers = range(40 * number, 40 * number + 40)
        lines = (json.dumps({"text": f"sample {n}", "id": n, "key": f"k{n}"}) + "\n" for n in numbers)
        path.write_text("".join(lines))
    return tmp_path / "data"


def sidecar(
    path: Path, on: tuple[tuple[str, str], ...] = (("id", "id"),), **columns: str | tuple[str, PropertyType]
) -> Sidecar:
    given = {name: (path, None) if isinstance(path, str) else path for name, path in columns.items()}
    wanted = tuple(Property(name, column, type_, HERE) for name, (column, type_) in given.items())
    return Sidecar((str(path),), on, wanted, HERE)


def web(data: Path, *sidecars: Sidecar, **more: Any) -> Source:
    return replace(source(data / "**/*.jsonl", IDS), sidecars=sidecars, **more)


def written(path: Path, columns: Mapping[str, object]) -> Path:
    table = pa.table(dict(columns))
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    elif path.suffix == ".feather":
        pyarrow.feather.write_feather(table, path)
    elif path.suffix == ".arrow":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, 7)
    else:
        pq.write_table(table, path, row_group_size=11)
    return path


@pytest.mark.parametrize("suffix", ["parquet", "csv", "feather", "arrow"])
@pytest.mark.parametrize("key", ["id", "key"])
def test_scores_are_joined_by_an_id(catalog: Catalog, data: Path, tmp_path: Path, suffix: str, key: str) -> None:
    ids = [n for n in reversed(range(150)) if n % 3]
    keys = ids if key == "id" else [f"k{n}" for n in ids]
    path = written(tmp_path / f"scores.{suffix}", {"doc": keys, "score": [n / 4 for n in ids], "other": ids})
    scored = web(data, sidecar(path, ((key, "doc"),), quality="score", count=("other", "int64")))
    report = catalog.index(spec(scored)).sources[0]
    assert [(found.samples, found.unmatched) for found in report.unmatched] == [(120, 40)]
    assert catalog.source(scored).types == {"id": "int64", "key": "string", "quality": "float64", "count": "int64"}
    for row in rows(catalog, scored):
        n = int(str(row["id"]))
        assert (row["quality"], row["count"]) == ((n / 4, n) if n % 3 else (None, None))


@pytest.mark.parametrize("whole", [True, False])
def test_scores_are_joined_by_file_and_row(catalog: Catalog, data: Path, tmp_path: Path, whole: bool) -> None:
    names = {0: "0/part-0.jsonl", 1: "1/part-1.jsonl", 2: "0/part-2.jsonl"}
    places = [(n // 40, n % 40) for n in range(120) if n % 7]
    columns = {
        "file": pa.array(
            [*(names[f] if whole else names[f][2:] for f, _ in places), "part-9.jsonl", None]
        ).dictionary_encode(),
        "line": pa.array([*(row for _, row in places), 3, 4], pa.int32()),
        "tags": pa.array([*([f"t{f}", f"t{row}"] for f, row in places), ["x"], None]),
    }
    path = written(tmp_path / "tags.parquet", columns)
    tagged = web(data, sidecar(path, (("file", "file"), ("row", "line")), tags="tags"))
    report = catalog.index(spec(tagged), workers=2).sources[0]
    assert report.unmatched[0].unmatched == 120 - len(places)
    for row in rows(catalog, tagged):
        n = int(str(row["id"]))
        assert row["tags"] == ([f"t{n // 40}", f"t{n % 40}"] if n % 7 else [])


def test_several_files_and_sidecars_and_what_is_computed_from_them(
    catalog: Catalog, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "BLOCK_ROWS", 50)
    monkeypatch.setattr(joining, "LOOKUP_ROWS", 30)
    for number in range(3):
        ids = [n for n in range(120) if n % 3 == number]
        written(tmp_path / f"score-{number}.parquet", {"id": ids, "score": ids})
    words = written(
        tmp_path / "words.csv", {"key": [f"k{n}" for n in range(120)], "word": ["w" * (n % 5) for n in range(120)]}
    )
    scored = web(
        data,
        sidecar(tmp_path / "score-*.parquet", score="score"),
        sidecar(words, (("key", "key"),), word=("word", "string")),
        computed=(computed("half", "half", ("score",), "float64"), computed("letters", columns=("word",))),
    )
    catalog.index(spec(scored))
    for row in rows(catalog, scored):
        n = int(str(row["id"]))
        assert (row["score"], row["half"]) == (n, None if n % 2 else n / 2)
        assert row["letters"] == (n % 5 or None)  # an empty field of a CSV file is no value
    assert length(pa.record_batch({"word": ["a"]})).to_pylist() == [1]


def test_a_sidecar_added_later_leaves_the_files_alone(catalog: Catalog, data: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = web(data, computed=(computed(log=str(log)),))
    catalog.index(spec(first))
    log.unlink()
    before = rows(catalog, first)
    for file in data.rglob("*.jsonl"):
        spoil(file)
    path = written(tmp_path / "scores.parquet", {"id": list(range(120)), "score": [n / 2 for n in range(120)]})
    second = replace(first, sidecars=(sidecar(path, quality="score"),))
    (done,) = catalog.index(spec(second)).sources
    assert (done.changed, done.columns, log.exists()) == (0, ("quality",), False)
    found = rows(catalog, second)
    assert [row.pop("quality") for row in found] == [int(str(row["id"])) / 2 for row in before]
    assert found == before
    assert catalog.index(spec(second)).sources[0].columns == ()


def test_only_the_columns_of_a_changed_sidecar_are_joined_again(catalog: Catalog, data: Path, tmp_path: Path) -> None:
    one = written(tmp_path / "one.parquet", {"id": list(range(120)), "score": [0] * 120})
    two = written(tmp_path / "two.parquet", {"id": list(range(120)), "length": [1] * 120})
    scored = web(
        data,
        sidecar(one, a="score"),
        sidecar(two, b="length"),
        computed=(computed("c", "half", ("a",), "float64"), computed("d", "half", ("b",), "float64")),
    )
    catalog.index(spec(scored))
    snapshot = catalog.source(scored).snapshot_id
    assert catalog.index(spec(scored)).sources[0].snapshot_id == snapshot
    touch_later(written(one, {"id": list(range(120)), "score": [8] * 120}))
    (done,) = catalog.index(spec(scored)).sources
    assert done.columns == ("a", "c")
    assert {(row["a"], row["b"], row["c"], row["d"]) for row in rows(catalog, scored)} == {(8, 1, 4.0, None)}


def test_new_files_without_partners_are_no_mistake(catalog: Catalog, data: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "scores.parquet", {"id": list(range(120)), "score": [1] * 120})
    scored = web(data, sidecar(path, score="score"))
    catalog.index(spec(scored))
    (data / "0" / "later.jsonl").write_text('{"text": "t", "id": 500, "key": "k"}\n')
    (done,) = catalog.index(spec(scored)).sources
    assert [(found.samples, found.unmatched) for found in done.unmatched] == [(1, 1)]
    assert [row["score"] for row in rows(catalog, scored)].count(None) == 1


def test_ids_that_come_twice_with_one_value_are_one(catalog: Catalog, data: Path, tmp_path: Path) -> None:
    ids = [*range(120), *range(120), None]
    path = written(tmp_path / "scores.parquet", {"id": ids, "tags": [[f"{n}"] for n in ids]})
    tagged = web(data, sidecar(path, tags="tags"))
    assert catalog.index(spec(tagged)).sources[0].unmatched[0].unmatched == 0
    assert [row["tags"] for row in rows(catalog, tagged)] == [[str(row["id"])] for row in rows(catalog, tagged)]


def twice(folder: Path) -> Sidecar:
    path = written(folder / "s.parquet", {"id": [*range(120), 7], "score": [*range(120), 8]})
    return sidecar(path, score="score")


def no_column(folder: Path) -> Sidecar:
    return sidecar(written(folder / "s.parquet", {"id": [1], "score": [1]}), score="scores")


def no_key(folder: Path) -> Sidecar:
    return sidecar(written(folder / "s.csv", {"name": [1], "score": [1]}), score="score")


def later_file(folder: Path) -> Sidecar:
    written(folder / "s-1.parquet", {"id": [1], "score": [1]})
    written(folder / "s-2.parquet", {"id": [1], "points": [1]})
    return sidecar(folder / "s-*.parquet", score="score")


def no_partner(folder: Path) -> Sidecar:
    return sidecar(written(folder / "s.parquet", {"id": [1000], "score": [1]}), score="score")


def other_id(folder: Path) -> Sidecar:
    return sidecar(written(folder / "s.parquet", {"id": ["1"], "score": [1]}), score="score")


def wrong_type(folder: Path) -> Sidecar:
    path = written(folder / "s.parquet", {"id": [1], "score": ["high"]})
    return sidecar(path, score=("score", "float64"))


def wrong_value(folder: Path) -> Sidecar:
    path = written(folder / "s.parquet", {"id": [1, 2], "score": [1.0, 1.5]})
    return sidecar(path, score=("score", "int64"))


def wrong_csv(folder: Path) -> Sidecar:
    path = folder / "s.csv"
    path.write_text("id,score\n1,high\n")
    return sidecar(path, score=("score", "float64"))


def no_property(folder: Path) -> Sidecar:
    return sidecar(written(folder / "s.parquet", {"id": [1], "score": [{"a": 1}]}), score="score")


def no_table(folder: Path) -> Sidecar:
    path = folder / "s.parquet"
    path.write_bytes(b"PAR1 is no Parquet file PAR1")
    return sidecar(path, score="score")


def row_as_text(folder: Path) -> Sidecar:
    path = written(folder / "s.parquet", {"file": ["part-0.jsonl"], "row": ["1"], "score": [1]})
    return sidecar(path, (("file", "file"), ("row", "row")), score="score")


@pytest.mark.parametrize(
    ("made", "kind", "expected"),
    [
        (twice, CatalogError, r"s.parquet has the id 7 twice, with different values: {'score': 7} and {'score': 8}"),
        (no_column, SpecError, r"spec.yaml:3:5: the sidecar .*s.parquet has no column 'scores'; it has: id, score"),
        (no_key, SpecError, r"the sidecar .*s.csv has no column 'id'; it has: name, score"),
        (later_file, CatalogError, r"the sidecar .*s-2.parquet has no column 'score'; it has: id, points"),
        (no_partner, CatalogError, r"none of its 120 samples is in the sidecar .*s.parquet \(compared by id = id\)"),
        (other_id, CatalogError, r"s.parquet: the column 'id' is string, and the property 'id' is int64"),
        (wrong_type, SampleError, r"the column 'score' is of type string and cannot be read as float64: declare it as"),
        (wrong_value, CatalogError, r"the column 'score' has '1.5', which is no int64; correct it, or declare another"),
        (wrong_csv, CatalogError, r"the sidecar .*s.csv cannot be read: .*high"),
        (no_property, SpecError, r"property 'score': the column 'score' of .* is struct<a: int64>, which no property"),
        (no_table, CatalogError, r"the sidecar .*s.parquet cannot be read: "),
        (row_as_text, CatalogError, r"the column 'row' is string; a row is a number, from 0"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("workers", [1, 3])
def test_a_table_that_does_not_fit(
    catalog: Catalog,
    data: Path,
    tmp_path: Path,
    made: Callable[[Path], Sidecar],
    kind: type[MixteraError],
    expected: str,
    workers: int,
) -> None:
    plain = web(data)
    catalog.index(spec(plain))
    before = rows(catalog, plain)
    with pytest.raises(kind, match=expected) as caught:
        catalog.index(spec(web(data, made(tmp_path))), workers=workers)
    assert caught.value.exit_code == 1
    assert rows(catalog, plain) == before
    assert "score" not in catalog.state("web").definition.types


def test_a_base_name_of_several_files_names_none(catalog: Catalog, data: Path, tmp_path: Path) -> None:
    (data / "0" / "part-0.jsonl").rename(data / "0" / "part-1.jsonl")
    path = written(tmp_path / "s.parquet", {"file": ["part-2.jsonl", "part-1.jsonl"], "row": [0, 0], "score": [1, 2]})
    scored = web(data, sidecar(path, (("file", "file"), ("row", "row")), score="score"))
    with pytest.raises(CatalogError, match=r"several files of source 'web' are named 'part-1.jsonl'; give their paths"):
        catalog.index(spec(scored))
    touch_later(written(path, {"file": ["part-2.jsonl", "0/part-1.jsonl"], "row": [0, 0], "score": [1, 2]}))
    catalog.index(spec(scored))
    assert [(row["file"], row["score"]) for row in rows(catalog, scored) if row["row"] == 0] == [
        ("0/part-1.jsonl", 2),
        ("0/part-2.jsonl", 1),
        ("1/part-1.jsonl", None),
    ]


def test_an_id_must_be_one(catalog: Catalog, data: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "s.parquet", {"id": [1.0], "score": [1]})
    wanted = properties(id=("id", "float64"))
    scored = replace(source(data / "**/*.jsonl", wanted), sidecars=(sidecar(path, score="score"),))
    with pytest.raises(SpecError, match=r"spec.yaml:3:5: on: id is float64; an id is int64 or string"):
        catalog.index(spec(scored))
