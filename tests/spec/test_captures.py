"""Names in braces in paths: what they take of the URL of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.spec import load
from mixtera.spec.captures import Captures, as_glob, capture_of, captured_names, problem_of_captures, tail_of


@pytest.mark.parametrize(
    ("path", "url", "expected"),
    [
        ("/d/{language}/{year}/*.parquet", "/d/en/2020/x.parquet", {"language": "en", "year": "2020"}),
        ("/d/language={language}/*.parquet", "/d/language=en/x.parquet", {"language": "en"}),
        ("/d/{a}/**/*.jsonl", "/d/x/y/z/w.jsonl", {"a": "x"}),
        ("/d/{a}/**/*.jsonl", "/d/x/w.jsonl", {"a": "x"}),
        ("/d/**/{a}.jsonl", "/d/p/q/w.jsonl", {"a": "w"}),
        ("/d/{a}-{b}.jsonl", "/d/x-y-z.jsonl", {"a": "x", "b": "y-z"}),
        ("/d/part-{n}-of-?0.jsonl", "/d/part-7-of-10.jsonl", {"n": "7"}),
        ("/d/[ab]{n}_[!x].jsonl".replace("]{", "]_{"), "/d/a_9_y.jsonl", {"n": "9"}),
        ("/d/{a}/x.jsonl", "/d/grün/x.jsonl", {"a": "grün"}),
        ("/d/{a}/x.jsonl", "/d/a%20b/x.jsonl", {"a": "a%20b"}),
        ("/d/{a}/x.jsonl", "/d/two\nlines/x.jsonl", {"a": "two\nlines"}),
        ("/d/a={a}/x.jsonl", "/d/a=a%20b%2Fc/x.jsonl", {"a": "a b/c"}),
        ("/d/a={a}/x.jsonl", "/d/a=__HIVE_DEFAULT_PARTITION__/x.jsonl", {"a": None}),
        ("s3://bucket/d/{a}/*.jsonl", "s3://bucket/d/a%20b/x.jsonl", {"a": "a%20b"}),
        ("file:///d/gr%C3%BCn/{a}/*.jsonl", "/d/grün/x y/x.jsonl", {"a": "x y"}),
        ("/d/../e/{a}/*.jsonl", "/e/x/x.jsonl", {"a": "x"}),
        ("/d/{a}/{b,c}/*.jsonl", "/d/x/{b,c}/x.jsonl", {"a": "x"}),
        ("/d/plain.jsonl", "/d/plain.jsonl", {}),
    ],
)
def test_what_a_path_captures(path: str, url: str, expected: dict[str, str | None]) -> None:
    assert Captures([path]).values(url) == expected


def test_several_paths() -> None:
    captures = Captures(["/d/{a}/*.jsonl", "/e/{b}/*.jsonl", "/f.jsonl"])
    assert captures.values("/d/x/y.jsonl") == {"a": "x"}
    assert captures.values("/e/x/y.jsonl") == {"b": "x"}
    assert captures.values("/f.jsonl") == {}
    with pytest.raises(ValueError, match="does not match any path"):
        captures.values("/g/x/y.jsonl")


def test_paths_that_contradict_each_other() -> None:
    captures = Captures(["/d/{a}/x/*.jsonl", "/d/y/{a}/*.jsonl"])
    assert captures.values("/d/z/x/1.jsonl") == {"a": "z"}
    with pytest.raises(ValueError, match="two paths match it, and capture 'y' and 'x' as 'a'"):
        captures.values("/d/y/x/1.jsonl")


@pytest.mark.parametrize("path", ["{a,b}", "{1}", "{}", "{a b}", "[{]a}", "{2000..2010}", "{{a,b}}", "{a-b}"])
def test_braces_that_are_no_captures(path: str) -> None:
    assert captured_names(path) == ()
    assert as_glob(path) == path
    assert capture_of(path) is None


@pytest.mark.parametrize("path", ["{a}{b}", "*{a}", "{a}*", "?{a}", "{a}[x]", "[x]{a}", "{a}/{a}"])
def test_captures_that_cannot_be_told_apart(path: str) -> None:
    assert problem_of_captures(f"/d/{path}/x.jsonl") is not None
    assert problem_of_captures("/d/*/{a}/*_{b}.jsonl/[x]") is None


def test_the_tail_is_what_captures_depend_on() -> None:
    assert tail_of("/d/e/{a}/*.jsonl") == "{a}/*.jsonl"
    assert tail_of("/d/*/x.jsonl") == "*/x.jsonl"
    assert tail_of("/d/x.jsonl") == ""


NAMES = st.text(st.characters(exclude_characters="/-", exclude_categories=["Cs"]), min_size=1)


@given(NAMES, NAMES)
def test_any_names_come_back(first: str, second: str) -> None:
    url = f"s3://bucket/data/{first}/{second}-0.jsonl"
    assert Captures(["s3://bucket/data/{a}/{b}-*.jsonl"]).values(url) == {"a": first, "b": second}


SPEC = """\
version: 1
sources:
  web:
    path: ["data/{language}/{year}/*.jsonl", "more/{language}.jsonl"]
    content: text
    properties: {when: {capture: year, type: int64}, topic: topic}
filter: language != 'de' and when > 2000
mixture: {by: language}
"""


def test_captures_are_properties_of_a_spec(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    (web,) = load(str(tmp_path / "spec.yaml")).sources
    found = {wanted.name: (wanted.path, wanted.type) for wanted in web.properties}
    assert found == {"when": ("{year}", "int64"), "topic": ("topic", None), "language": ("{language}", "string")}
    assert next(wanted.place.line for wanted in web.properties if wanted.name == "language") == 4


LIMITS = [("100", 100, None), ("0", 0, None), ("1%", None, 0.01), ("0.5 %", None, 0.005), ("0.01", None, 0.01)]
LIMITS += [("1.0", None, 1.0), ("{count: 3}", 3, None), ("{count: 3, fraction: 2%}", 3, 0.02)]


@pytest.mark.parametrize(("text", "count", "fraction"), LIMITS)
def test_limits_of_bad_samples(text: str, count: int | None, fraction: float | None, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(
        "version: 1\nsources: {a: {path: a.jsonl, content: text, "
        f"on_bad_sample: {{policy: skip, limit: {text}}}}}}}\nmixture: {{by: dataset}}\n"
    )
    rule = load(str(tmp_path / "spec.yaml")).sources[0].on_bad_sample
    assert (rule.max_count, rule.max_fraction) == (count, fraction)
