"""Normalised lines: what is the same to YAML has the same lines, and they read back as themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mixtera.demo.specs import example_specs
from mixtera.spec import load
from mixtera.spec.document import Mapping
from mixtera.spec.issues import Issues
from mixtera.spec.lines import lines
from mixtera.spec.reading import read

ONE = """
version: 1   # a comment
sources: {web: {path: "data/*.jsonl", content: text, properties: {year: {path: meta.year, type: int64}}}}
mixture:
  components:
  - {name: old, where: 'year < 2000', weight: 70}
  - name: "rest"
    weight: 30
"""
OTHER = """version: 1

sources:
  web:
    path: data/*.jsonl
    content: "text"
    properties:
      year:
        path: 'meta.year'
        type: int64
mixture:
  components:
    - name: old
      where: year < 2000
      weight: 70
    - {name: rest, weight: 30}
"""


def lines_of(path: Path, text: str) -> tuple[str, ...]:
    path.write_text(text, encoding="utf-8")
    issues = Issues()
    root = read(str(path), issues)
    assert not issues.found
    assert isinstance(root, Mapping)
    return lines(root)


def test_the_way_of_writing_makes_no_difference(tmp_path: Path) -> None:
    found = lines_of(tmp_path / "a.yaml", ONE)
    assert found == lines_of(tmp_path / "b.yaml", OTHER)
    assert '    path: "data/*.jsonl"' not in found
    assert found[:4] == ("version: 1", "sources:", "  web:", "    path: data/*.jsonl")
    assert "      where: year < 2000" in found


def test_another_value_is_another_line(tmp_path: Path) -> None:
    one, other = (lines_of(tmp_path / "a.yaml", text) for text in (ONE, ONE.replace("70", "71")))
    assert [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]] == [
        ("      weight: 70", "      weight: 71")
    ]


@pytest.mark.parametrize("path", example_specs(), ids=lambda path: path.name)
def test_the_lines_of_an_example_are_a_spec_with_the_same_lines(path: Path, tmp_path: Path) -> None:
    found = load(str(path)).lines
    again = tmp_path / path.name
    again.write_text("\n".join(found), encoding="utf-8")
    assert load(str(again)).lines == found


def test_what_is_included_stands_among_the_lines_and_paths_as_written(tmp_path: Path) -> None:
    (tmp_path / "sources.yaml").write_text("version: 1\nsources: {web: {path: ../web/*.jsonl, content: text}}\n")
    spec = tmp_path / "spec.yaml"
    spec.write_text("version: 1\ninclude: sources.yaml\nmixture: {by: dataset}\n")
    found = load(str(spec)).lines
    assert '    path: "../web/*.jsonl"' in found
    assert str(tmp_path) not in "\n".join(found)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.sampled_from("\n\t:#'\"-\x85\u2028\ufeff"),
        max_size=20,
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc: #-1\n", min_size=1), inner, max_size=3),
    max_leaves=12,
)


@given(values=st.dictionaries(st.sampled_from(["a", "b b", "1", "true", "- c", "d: e", "#f"]), values, max_size=4))
def test_any_lines_read_back_as_themselves(values: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lines") / "any.yaml"
    text = yaml.safe_dump(values, allow_unicode=True) if values else "{}"
    found = lines_of(path, text)
    assert all("\n" not in line for line in found)
    assert lines_of(path, "\n".join(found) or "{}") == found
