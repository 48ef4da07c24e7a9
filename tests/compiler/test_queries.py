"""Expressions, SQL, the engine's account and overlaps: questions that need no plan."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlglot

from mixtera.compiler import Overlap, analyze, expressions, overlap, sql
from mixtera.compiler.queries import dialects
from mixtera.errors import EngineError
from mixtera.testing.catalog import MadeFile, MadeSource
from tests.compiler.made import CODE, WEB, catalog_of, spec_of

TEXT = """
filter: year >= 2000 or year is None
mixture:
  components:
    - {name: law, where: '"law" in topics and not language.startswith("x''y")', weight: 1}
    - {name: english, where: {language: [en, null]}, weight: 2, by: clean}
    - {name: code, where: {dataset: code}, weight: 2}
"""


def test_expressions_are_unbound_and_have_the_columns_of_the_contract(tmp_path: Path) -> None:
    found = expressions(spec_of(tmp_path, TEXT), catalog_of(tmp_path))
    assert {name: list(found[name].columns) for name in found} == {
        "web": ["file_id", "row", "offset", "length", "label", "clean"],
        "code": ["file_id", "row", "label"],
    }
    assert str(found["web"].schema()["label"]) == "int32"


@pytest.mark.parametrize("dialect", dialects())
def test_sql_of_every_dialect_can_be_parsed(tmp_path: Path, dialect: str) -> None:
    found = sql(spec_of(tmp_path, TEXT), catalog_of(tmp_path), dialect)
    for text in found.values():
        parsed = sqlglot.parse_one(text, dialect={"pyspark": "spark", "datafusion": "duckdb"}.get(dialect, dialect))
        assert parsed.find(sqlglot.exp.Select) is not None
        assert parsed.find(sqlglot.exp.Window) is None
        assert parsed.find(sqlglot.exp.Order) is None


@pytest.mark.parametrize("dialect", sorted(dialects()))
def test_fractions_can_be_printed_in_every_dialect(tmp_path: Path, dialect: str) -> None:
    source = MadeSource("web", {"score": "float64"}, [MadeFile("a", 1, [{"score": 0.25}])])
    text = "filter: score > 0.125\nmixture:\n  by: [dataset]\n"
    (found,) = sql(spec_of(tmp_path, text, [source]), catalog_of(tmp_path, [source]), dialect).values()
    assert "0.125" in found


def test_an_unknown_dialect_names_the_allowed(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"dialect 'duckbd'; did you mean 'duckdb'\? allowed: bigquery"):
        sql(spec_of(tmp_path, TEXT), catalog_of(tmp_path), "duckbd")


def test_analyze_is_the_engines_own_text(tmp_path: Path) -> None:
    found = analyze(spec_of(tmp_path, TEXT), catalog_of(tmp_path))
    assert list(found) == ["web", "code"]
    assert all("Total Time" in text for text in found.values())


def test_overlap_of_siblings(tmp_path: Path) -> None:
    text = """
filter: year >= 2000 or year is None
mixture:
  components:
    - {name: english, where: language == "en", weight: 1}
    - {name: new, where: year >= 2015, weight: 1}
    - name: code
      where: dataset == "code" or language == "de"
      weight: 1
      components:
        - {name: some, where: stars > 1, weight: 1}
        - {name: more, where: stars > 3, weight: 1}
        - {name: rest, weight: 1}
    - {name: rest, weight: 1}
"""
    assert overlap(spec_of(tmp_path, text), catalog_of(tmp_path)) == [
        Overlap("english", "new", 1),
        Overlap("new", "code", 1),
        Overlap("code/some", "code/more", 2),
    ]


def test_pairs_that_only_some_sources_can_have(tmp_path: Path) -> None:
    text = """
mixture:
  components:
    - {name: english, where: dataset == "web" and language == "en", weight: 1}
    - {name: new, where: year >= 2015 or stars > 4, weight: 1}
    - {name: code, where: {dataset: code}, weight: 1}
"""
    assert overlap(spec_of(tmp_path, text), catalog_of(tmp_path)) == [
        Overlap("english", "new", 1),
        Overlap("new", "code", 1),
    ]
    sources = (CODE, WEB)
    assert overlap(spec_of(tmp_path, text, sources), catalog_of(tmp_path, sources)) == [
        Overlap("english", "new", 1),
        Overlap("new", "code", 1),
    ]


def test_inside_a_component_only_the_samples_count_that_it_takes(tmp_path: Path) -> None:
    samples = [{"n": n} for n in range(10)]
    source = MadeSource("web", {"n": "int64"}, [MadeFile("a", 1, samples)])
    text = """
mixture:
  components:
    - {name: small, where: n < 4, weight: 1}
    - name: middle
      where: n < 8
      weight: 1
      components:
        - {name: a, where: n > 2, weight: 1}
        - {name: b, where: n < 6, weight: 1}
"""
    assert overlap(spec_of(tmp_path, text, (source,)), catalog_of(tmp_path, (source,))) == [
        Overlap("small", "middle", 4),
        Overlap("middle/a", "middle/b", 2),
    ]


def test_no_overlap_without_siblings(tmp_path: Path) -> None:
    assert overlap(spec_of(tmp_path, "mixture: {by: dataset}\n"), catalog_of(tmp_path)) == []


def test_a_source_without_samples_overlaps_nothing(tmp_path: Path) -> None:
    source = MadeSource("web", {"n": "int64"}, [])
    text = (
        "mixture:\n  components:\n    - {name: a, where: n > 0, weight: 1}\n    - {name: b, where: n > 1, weight: 1}\n"
    )
    assert overlap(spec_of(tmp_path, text, (source,)), catalog_of(tmp_path, (source,))) == []
