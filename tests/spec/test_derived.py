"""Computed properties and sidecars as specs write them."""

from __future__ import annotations

from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from mixtera.spec import Spec, load
from mixtera.spec.model import ComputedProperty, Sidecar
from mixtera.spec.schema import json_schema
from tests.spec.samples import issues_of, write

SPEC = """\
version: 1
sources:
  web:
    path: data/*.jsonl
    content: {text: body, title: head}
    properties:
      later: {compute: "pack.scores:later", columns: [first, text], type: float64}
      id: meta.id
      first: {compute: "scores:first", columns: title, type: "list<string>", options: OPTIONS, version: 2}
    sidecars:
      - {path: [a.parquet, s3://bucket/b/*.csv], on: {id: doc}, properties: {quality: score}}
      - {path: c.feather, on: [row, file], properties: {toxic: {path: toxicity, type: float64}}}
      - {path: d.arrow, on: {row: line, file: name}, properties: {clean: clean}}
      - {path: e.arrow, on: id, properties: {other: other}}
filter: quality > 0.5 and later < 3 and "x" in first
mixture: {by: [clean], weights: natural}
""".replace("OPTIONS", "{a: [1, 2.5, {b: null}]}")


def written(tmp_path: Path, text: str) -> Spec:
    (tmp_path / "spec.yaml").write_text(text)
    return load(str(tmp_path / "spec.yaml"))


def test_computed_properties_stand_behind_those_they_need(tmp_path: Path) -> None:
    (source,) = written(tmp_path, SPEC).sources
    first, later = source.computed
    assert first == ComputedProperty(
        "first", "scores:first", ("title",), "list<string>", {"a": [1, 2.5, {"b": None}]}, "2", first.place
    )
    assert (later.function, later.columns, later.version) == ("pack.scores:later", ("first", "text"), "")
    assert (first.place.line, first.place.column) == (9, 7)
    assert [wanted.name for wanted in source.properties] == ["id"]
    assert source.property_names == ("id", "quality", "toxic", "clean", "other", "first", "later")


def test_sidecars_say_what_is_equal(tmp_path: Path) -> None:
    (source,) = written(tmp_path, SPEC).sources
    assert [sidecar.on for sidecar in source.sidecars] == [
        (("id", "doc"),),
        (("file", "file"), ("row", "row")),
        (("file", "name"), ("row", "line")),
        (("id", "id"),),
    ]
    assert [sidecar.by_row for sidecar in source.sidecars] == [False, True, True, False]
    assert source.sidecars[0].paths == (str(tmp_path / "a.parquet"), "s3://bucket/b/*.csv")
    assert [(p.name, p.path, p.type) for p in source.sidecars[1].properties] == [("toxic", "toxicity", "float64")]


def test_the_schema_knows_them() -> None:
    Draft202012Validator(json_schema()).validate(
        yaml.safe_load(SPEC.replace(" on:", ' "on":'))
    )  # YAML 1.1 reads it as true


def test_predicates_are_checked_against_declared_types(tmp_path: Path) -> None:
    text = SPEC.replace("later < 3", 'later < "x"').replace('"x" in first', "toxic > 0")
    (issue,) = issues_of(write(tmp_path, text))
    assert "later" in issue.message
    assert "float64" in issue.message


def test_the_program_adds_computed_properties(tmp_path: Path) -> None:
    spec = written(tmp_path, SPEC)
    more = ComputedProperty("_tokens", "count:count", ("text",), "int64", {"tokenizer": "x"}, "1")
    asked = spec.with_computed([("web", more), ("nowhere", more)])
    assert asked.sources[0].property_names == (*spec.sources[0].property_names, "_tokens")
    assert asked.with_computed([("web", more)]) == asked
    assert "_tokens" in asked.property_names
    assert hash(more) == hash(ComputedProperty("_tokens", "count:count", ("text",), "int64", {}, "1"))
    assert isinstance(spec.sources[0].sidecars[0], Sidecar)


def test_two_computed_from_each_other_are_told_at_their_places(tmp_path: Path) -> None:
    text = SPEC.replace("columns: title", "columns: later")
    assert [str(issue).split("spec.yaml:")[1] for issue in issues_of(write(tmp_path, text))] == [
        "7:7: 'later' and 'first': computed from each other; compute one from other columns",
        "9:7: 'later' and 'first': computed from each other; compute one from other columns",
    ]


def test_a_content_column_goes_before_a_property_of_its_name(tmp_path: Path) -> None:
    text = SPEC.replace(
        "      id: meta.id", '      id: meta.id\n      title: {compute: "a:b", columns: title, type: string}'
    )
    assert [computed.name for computed in written(tmp_path, text).sources[0].computed] == ["title", "first", "later"]
