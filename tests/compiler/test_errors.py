"""What is wrong with a spec once the data is known: all of it at once, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixtera.compiler import compile
from mixtera.errors import PlanError, SpecError
from mixtera.testing.catalog import MadeFile, MadeSource
from tests.compiler.made import CODE, WEB, catalog_of, spec_of


def issues(tmp_path: Path, text: str, sources: tuple[MadeSource, ...] = (WEB, CODE)) -> list[str]:
    with pytest.raises(SpecError) as caught:
        compile(spec_of(tmp_path, text, sources), catalog_of(tmp_path, sources))
    return [issue.message for issue in caught.value.issues]


def test_components_that_match_nothing_are_all_reported(tmp_path: Path) -> None:
    text = """
filter: dataset == "web"
mixture:
  components:
    - {name: latin, where: 'language == "la"', weight: 1}
    - name: english
      weight: 1
      where: language == "en"
      components:
        - {name: old, where: year < 1900, weight: 1}
        - {name: new, weight: 1}
    - name: code
      weight: 1
      where: {dataset: code}
      components:
        - {name: a, where: stars > 3, weight: 1}
        - {name: b, weight: 1}
    - {name: all, weight: 1, where: year > 0 or year is None}
    - {name: more, where: year > 0, weight: 1}
"""
    assert issues(tmp_path, text) == [
        "component 'latin' matches no sample: 6 samples pass the filter",
        "component 'english/old' matches no sample: inside 'english'",
        "component 'code' matches no sample: 6 samples pass the filter, the components before it take 3 of them",
        "component 'more' matches no sample: 6 samples pass the filter, the components before it take 6 of them",
    ]


def test_types_are_checked_once_the_catalog_knows_them(tmp_path: Path) -> None:
    source = MadeSource("web", {"year": "string"}, [MadeFile("a", 1, [{"year": "x"}])])
    spec = spec_of(
        tmp_path,
        "filter: year > 2000\nmixture:\n  components:\n    - {name: a, weight: 1, where: year < 3}\n",
        (source,),
    )
    with pytest.raises(SpecError) as caught:
        compile(spec, catalog_of(tmp_path, (source,)))
    assert len(caught.value.issues) >= 2
    assert all("year is string" in issue.message for issue in caught.value.issues)


def test_a_list_cannot_make_groups(tmp_path: Path) -> None:
    (message,) = issues(tmp_path, "mixture: {by: topics}\n")
    assert message.startswith("by: topics is list<string>: a sample may have several of its values")


def test_a_value_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    (message,) = issues(tmp_path, "mixture: {by: language, weights: {values: {pyton: 2, rest: 1}}}\n")
    assert message == (
        "weights: no sample has the value 'pyton' of language; did you mean 'python'? found: de, en, fr, null, python"
    )


def test_a_rest_without_takers(tmp_path: Path) -> None:
    (message,) = issues(tmp_path, "mixture: {by: dataset, weights: {values: {web: 2, code: 3, rest: 1}}}\n")
    assert "`rest` is for values that are not named" in message


def test_two_values_that_are_written_alike(tmp_path: Path) -> None:
    source = MadeSource("web", {"kind": "string"}, [MadeFile("a", 1, [{"kind": "null"}, {"kind": None}])])
    (message,) = issues(tmp_path, "mixture: {by: kind}\n", (source,))
    assert message.startswith("2 components would be named 'null': different values are written alike")


def test_too_few_epochs_for_one_sample(tmp_path: Path) -> None:
    text = """
mixture:
  components:
    - {name: a, where: stars == 1, weight: 1, max_epochs: 0.5}
    - {name: b, weight: 1}
"""
    (message,) = issues(tmp_path, text)
    assert message == "component 'a': max_epochs 0.5 of 1 samples is less than one sample; at least 1 is needed"


def test_no_samples_at_all(tmp_path: Path) -> None:
    source = MadeSource("web", {"kind": "string"}, [])
    (message,) = issues(tmp_path, "mixture: {by: kind}\n", (source,))
    assert message == "by: no samples are in the catalog; nothing can be grouped"


def test_more_groups_than_a_plan_holds(tmp_path: Path) -> None:
    samples = [{"n": number} for number in range(70_000)]
    source = MadeSource("web", {"n": "int64"}, [MadeFile("a", 1, samples)])
    (message,) = issues(tmp_path, "mixture: {by: n}\n", (source,))
    assert message.startswith("by: more than 65,534 different values")


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ([MadeFile("a", 1, [{}]), MadeFile("b", 1, [{}])], "the same file id 1"),
        ([MadeFile("a", 1, [{}, {}], groups=(1, 2))], "row groups of /web/a have 3 rows"),
        ([MadeFile("a", 2**32, [{}])], "beyond 32 bits"),
    ],
)
def test_a_catalog_that_contradicts_itself(tmp_path: Path, files: list[MadeFile], what: str) -> None:
    source = MadeSource("web", {"kind": "string"}, files)
    with pytest.raises(PlanError, match=what):
        compile(spec_of(tmp_path, "mixture: {by: dataset}\n", (source,)), catalog_of(tmp_path, (source,)))
