import datetime
from pathlib import Path

import pytest

import mixtera
from mixtera.spec import (
    BadSamples,
    ContentField,
    Grouped,
    Listed,
    Natural,
    Order,
    Uniform,
    Values,
    load,
)
from mixtera.spec.predicate import And, Compare, Matches, Or
from tests.spec.samples import NATURAL, SOURCES, issues_of, loaded, write

EXAMPLES = sorted((Path(__file__).parents[2] / "specs" / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_right(path: Path) -> None:
    assert load(path).sources


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "mixture: {by: dataset}\n")
    assert spec.order == Order(seed=0, shuffle="global", chunk_size=16384, lanes=16, granule=32)
    assert (spec.filter, spec.mixture.on_exhaust, spec.mixture.max_epochs) == (None, "stop", None)
    assert isinstance(spec.mixture.parts, Grouped)
    assert spec.mixture.parts.by == ("dataset",)
    assert spec.mixture.parts.weights == Natural()
    assert spec.sources[0].on_bad_sample == BadSamples("fail", None, None)


def test_a_spec_without_a_name_is_named_by_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, SOURCES.replace("name: small\n", "") + NATURAL, "web.v2.yaml")
    assert load(path).name == "web.v2"


def test_load_takes_paths_and_text_and_is_public(tmp_path: Path) -> None:
    path = write(tmp_path, SOURCES + NATURAL)
    assert mixtera.load(str(path)) == load(path)


def test_sources_properties_and_content_keep_the_order_of_the_file(tmp_path: Path) -> None:
    web, code = loaded(tmp_path).sources
    assert [p.name for p in web.properties][:3] == ["language", "license", "year"]
    assert web.properties[0].path == "meta.language"
    assert web.properties[0].type is None
    assert web.properties[2].type == "int64"
    assert web.content == (ContentField("text", "text"),)
    assert code.content == (ContentField("text", "body"),)
    assert loaded(tmp_path).property_names[:3] == ("dataset", "language", "license")


def test_relative_paths_lie_beside_the_file_and_urls_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "specs", SOURCES.replace("[a.jsonl,", "[../a.jsonl,") + NATURAL)
    monkeypatch.chdir(tmp_path / "elsewhere")
    web, code = load("../specs/spec.yaml").sources
    assert web.paths == (str(tmp_path / "specs/data/*.jsonl"),)
    assert code.paths == (str(tmp_path / "a.jsonl"), "s3://bucket/code/**/*.jsonl")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("skip", BadSamples("skip")),
        ("quarantine", BadSamples("quarantine")),
        ("{policy: skip, limit: {count: 100}}", BadSamples("skip", 100)),
        ("{policy: quarantine, limit: {fraction: 0.01, count: 0}}", BadSamples("quarantine", 0, 0.01)),
    ],
)
def test_bad_samples(tmp_path: Path, written: str, expected: BadSamples) -> None:
    text = SOURCES.replace("    content: text\n", f"    content: text\n    on_bad_sample: {written}\n")
    assert load(write(tmp_path, text + NATURAL)).sources[0].on_bad_sample == expected


def test_hierarchical_components(tmp_path: Path) -> None:
    spec = loaded(
        tmp_path,
        """\
        mixture:
          components:
            - name: web
              where: {dataset: web}
              weight: 70
              by: [language, year]
              weights: uniform
            - name: code
              weight: 3e1
              max_epochs: 2.5
              on_exhaust: repeat
              components:
                - {name: python, where: {language: [python, null]}, weight: 9}
                - {name: other, weight: 1}
          max_epochs: 4
          on_exhaust: redistribute
        """,
    )
    assert isinstance(spec.mixture.parts, Listed)
    web, code = spec.mixture.parts.components
    assert (web.weight, code.weight, code.max_epochs, code.on_exhaust) == (70.0, 30.0, 2.5, "repeat")
    assert isinstance(web.parts, Grouped)
    assert (web.parts.by, web.parts.weights) == (("language", "year"), Uniform())
    assert isinstance(code.parts, Listed)
    assert [c.name for c in code.parts.components] == ["python", "other"]
    assert code.parts.components[0].where.values == ("python", None)
    assert (spec.mixture.max_epochs, spec.mixture.on_exhaust) == (4.0, "redistribute")


@pytest.mark.parametrize("word", ["stop", "redistribute", "repeat", "error"])
def test_all_ways_to_run_out_can_be_written(tmp_path: Path, word: str) -> None:
    assert loaded(tmp_path, f"mixture: {{by: dataset, on_exhaust: {word}}}\n").mixture.on_exhaust == word


def test_values_keep_their_names_as_written(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "mixture: {by: language, weights: {values: {en: 3, no: 2, 2020: 1, ~: 0.5, rest: 1}}}\n")
    assert isinstance(spec.mixture.parts, Grouped)
    weights = spec.mixture.parts.weights
    assert isinstance(weights, Values)
    assert weights.weights == (("en", 3.0), ("no", 2.0), ("2020", 1.0), ("null", 0.5))
    assert weights.rest == 1.0
    assert [place.column for place in weights.places] == [44, 51, 58, 67]


@pytest.mark.parametrize(("size", "granule"), [(16384, 32), (256, 32), (48, 16), (7, 1), (1, 1)])
def test_the_granule_fits_the_chunk_by_default(tmp_path: Path, size: int, granule: int) -> None:
    assert loaded(tmp_path, f"{NATURAL}order: {{chunk_size: {size}}}\n").order.granule == granule


def test_yaml_1_1_surprises_are_texts(tmp_path: Path) -> None:
    spec = loaded(
        tmp_path, "filter: {language: [no, on, 2015-01-01, 010, 1:30, 1_000, '7', 7, 1e3, true, null]}\n" + NATURAL
    )
    assert isinstance(spec.filter, Matches)
    expected = ("no", "on", "2015-01-01", "010", "1:30", "1_000", "7", 7, 1000.0, True, None)
    assert spec.filter.values == expected
    assert [type(value) for value in spec.filter.values] == [type(value) for value in expected]


def test_mapping_predicates_are_checked_against_declared_types(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "filter: {crawled: 2024-02-29, year: [2015, 2016.0], quality: 1, topics: law}\n" + NATURAL)
    assert isinstance(spec.filter, And)
    values = [term.values for term in spec.filter.terms if isinstance(term, Matches)]
    assert values == [(datetime.date(2024, 2, 29),), (2015, 2016), (1.0,), ("law",)]
    assert isinstance(values[1][1], int)


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    spec = load(
        write(
            tmp_path,
            """\
            version: 1
            sources:
              a: &a
                path: a.jsonl
                format: jsonl
                content: text
                properties: &p {year: year}
              b: {<<: *a, path: b.jsonl}
              c: {<<: [{format: parquet}, *a], path: c.x, properties: *p}
            mixture: {by: dataset}
            """,
        )
    )
    assert [(s.name, Path(s.paths[0]).name, s.format) for s in spec.sources] == [
        ("a", "a.jsonl", "jsonl"),
        ("b", "b.jsonl", "jsonl"),
        ("c", "c.x", "parquet"),
    ]
    assert [p.name for s in spec.sources for p in s.properties] == ["year"] * 3


def test_includes_come_first_and_resolve_beside_themselves(tmp_path: Path) -> None:
    write(
        tmp_path / "shared",
        """\
        include: more/extra.yaml
        sources:
          web: {path: web/*.jsonl, format: jsonl, content: text, properties: {year: year}}
        order: {seed: 3, lanes: 2}
        mixture: {by: dataset, weights: uniform}
        """,
        "sources.yaml",
    )
    write(
        tmp_path / "shared/more",
        "sources: {extra: {path: extra.jsonl, format: jsonl, content: text}}\n",
        "extra.yaml",
    )
    path = write(
        tmp_path,
        """\
        version: 1
        include: [shared/sources.yaml]
        sources:
          own: {path: own.jsonl, format: jsonl, content: text}
        filter: year > 2000
        mixture: {by: dataset}
        """,
    )
    spec = load(path)
    assert [source.name for source in spec.sources] == ["extra", "web", "own"]
    assert spec.sources[0].paths == (str(tmp_path / "shared/more/extra.jsonl"),)
    assert spec.sources[1].paths == (str(tmp_path / "shared/web/*.jsonl"),)
    assert (spec.order.seed, spec.order.lanes) == (3, 2)
    assert isinstance(spec.mixture.parts, Grouped)
    assert spec.mixture.parts.weights == Natural()
    assert isinstance(spec.filter, Compare)


def test_two_includes_may_not_set_the_same_section(tmp_path: Path) -> None:
    for name in ("a", "b"):
        source = f"sources: {{{name}: {{path: {name}, format: jsonl, content: text}}}}\n"
        write(tmp_path, f"{source}order: {{seed: 1}}\n", f"{name}.yaml")
    path = write(tmp_path, f"version: 1\ninclude: [a.yaml, b.yaml]\n{NATURAL}")
    (issue,) = issues_of(path)
    assert (issue.line, issue.column) == (2, 19)
    assert "'order'" in issue.message
    assert "a.yaml:2" in issue.message
    path.write_text(path.read_text() + "order: {seed: 2}\n")
    assert load(path).order.seed == 2


def test_predicates_know_the_properties_of_all_sources(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "filter: language == 'de' or year >= 2010\n" + NATURAL)
    assert isinstance(spec.filter, Or)


def test_a_secret_is_never_repeated(tmp_path: Path) -> None:
    for url in ("s3://key:hunter2@bucket/a.jsonl", "https://host/a.jsonl?X-Amz-Signature=hunter2"):
        path = write(tmp_path, SOURCES.replace("data/*.jsonl", url) + NATURAL)
        (issue,) = issues_of(path)
        assert "credentials" in issue.message
        assert "hunter2" not in str(issue)


def test_an_account_in_a_url_is_no_secret(tmp_path: Path) -> None:
    url = "abfs://container@account.dfs.core.windows.net/a.jsonl"
    assert load(write(tmp_path, SOURCES.replace("data/*.jsonl", url) + NATURAL)).sources[0].paths == (url,)


def test_issues_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = issues_of(
        write(tmp_path, SOURCES + "filter: yeer > 1\nmixture: {by: languag, unit: meters}\norder: {seed: x}\n")
    )
    assert [issue.line for issue in found] == sorted(issue.line for issue in found)
    assert len(found) == 4


def test_one_mistake_in_the_sources_is_one_issue(tmp_path: Path) -> None:
    text = SOURCES.replace("type: int64", "type: int65") + "filter: year > 2000 and language == 'en'\n" + NATURAL
    (issue,) = issues_of(write(tmp_path, text))
    assert "int64" in issue.message
