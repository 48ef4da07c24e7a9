"""What is written reads back as what was meant, whatever the texts hold; and no input makes anything but an error."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixtera.importers import Installed
from mixtera.importers.braces import expanded
from mixtera.importers.columns import Column, choose
from mixtera.importers.findings import Findings
from mixtera.importers.json_nodes import parse_json
from mixtera.importers.model import Draft, DraftComponent, DraftMixture, DraftProperty, DraftSource
from mixtera.importers.naming import Names, component_name, last_part, property_name, source_name
from mixtera.importers.options import Options
from mixtera.importers.scalars import comment, number, quoted, without_secrets
from mixtera.importers.sources import Sources, placed
from mixtera.importers.writer import spec_text
from mixtera.spec import Listed, load
from mixtera.spec.document import Mapping, Node, Scalar, Sequence, Text
from mixtera.spec.issues import Issues
from mixtera.spec.model import Place
from mixtera.spec.reading import parse_text

INSTALLED = Installed(("jsonl", "parquet"), ("file",))
PLACE = Place("input", 1, 1)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
NUMBERS = st.one_of(
    st.integers(0, 2**70), st.floats(0, allow_infinity=False, allow_nan=False), st.sampled_from([5e-324, 0.1, 1e22])
)


def scalar(text: str) -> Scalar:
    issues = Issues()
    root = parse_text(Text("x", f"before\n- [{text}, 1]\n- {text}\n- {{k: {text}}}\n".removeprefix("before\n")), issues)
    assert issues.found == ()
    assert isinstance(root, Sequence)
    first, second, third = root.items
    assert isinstance(first, Sequence)
    assert isinstance(third, Mapping)
    values = [first.items[0], second, third.entries[0].value]
    assert all(isinstance(value, Scalar) for value in values)
    assert len({value.value for value in values if isinstance(value, Scalar)}) == 1
    assert isinstance(second, Scalar)
    return second


@given(TEXTS)
def test_any_text_reads_back(text: str) -> None:
    assert scalar(quoted(text)).value == text


ODD = ["yes", "null", "~", "1_0", "- a", "a: b", "#", "\x85", "\u2028", "\ufeff", "𝄞", " a ", "*x", "{a}", "'", '"']
ODD += ["\\", "1e3", "0x1", ".5", "a\nb", "%", "@", "`", "---", "...", "=", "<<", "!x", "&x", "?", ":", ","]


@pytest.mark.parametrize("text", ODD)
def test_texts_that_yaml_would_take_for_something_else(text: str) -> None:
    assert scalar(quoted(text)).value == text


@given(NUMBERS)
def test_any_number_reads_back(value: float) -> None:
    assert scalar(number(float(value))).value == float(value)


@given(st.text())
def test_no_text_gets_out_of_its_comment(text: str) -> None:
    lines = comment(text, 2)
    assert all(line.startswith("  # ") for line in lines)
    assert all(line.isprintable() for line in lines)
    issues = Issues()
    root = parse_text(Text("x", "\n".join([*lines, "a: 1"])), issues)
    assert issues.found == ()
    assert isinstance(root, Mapping)
    assert [entry.key.text for entry in root.entries] == ["a"]


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    """Drafts of the texts that importers get out of their inputs, named as they name them."""
    names, labels, own = Names(), Names(), Names("_")
    wanted = draw(st.lists(TEXTS, min_size=1, max_size=5))
    sources, components = [], []
    for text in wanted:
        paths = draw(st.lists(TEXTS, min_size=1, max_size=3))
        properties = [
            DraftProperty(own.new(property_name(name)), "a.b", "string", draw(st.booleans()))
            for name in draw(st.lists(TEXTS, max_size=3))
        ]
        columns = (("text", draw(TEXTS).replace(".", "-").strip() or "x"),)
        source = DraftSource(
            names.new(source_name(text)),
            tuple("p" + path.replace("://", "-").replace("$", "-").replace("%", "-") for path in paths),
            "jsonl",
            columns,
            tuple(properties),
            (draw(st.text()),),
            PLACE,
        )
        sources.append(source)
        epochs = draw(st.one_of(st.none(), st.floats(0.01, 100)))
        weight = float(draw(st.floats(0.001, 1e6)))
        parts = (DraftComponent("part", (source.name,), 1.5),) if draw(st.booleans()) else ()
        components.append(DraftComponent(labels.new(component_name(text)), (source.name,), weight, epochs, parts))
    mixture = DraftMixture(tuple(components), draw(st.sampled_from(["stop", "repeat", "error"])), (draw(st.text()),))
    return Draft(component_name(draw(TEXTS)), draw(st.text()), tuple(sources), mixture, draw(st.integers(0, 2**63 - 1)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(drafts(), st.lists(st.text(), max_size=3))
def test_any_draft_reads_back(tmp_path: Path, draft: Draft, remarks: list[str]) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(spec_text(draft, remarks), encoding="utf-8")
    spec = load(file)
    assert spec.name == draft.name
    assert spec.order.seed == draft.seed
    assert spec.mixture.on_exhaust == draft.mixture.on_exhaust
    assert [source.name for source in spec.sources] == [source.name for source in draft.sources]
    for source, meant in zip(spec.sources, draft.sources, strict=True):
        assert source.paths == tuple(_absolute(path, tmp_path) for path in meant.paths)
        assert tuple((field.name, field.path) for field in source.content) == meant.content
        live = [(item.name, item.path, item.type) for item in meant.properties if not item.shown_only]
        assert [(item.name, item.path, item.type) for item in source.properties] == live
    assert isinstance(spec.mixture.parts, Listed)
    found = [(c.name, c.weight, c.max_epochs, c.parts is not None) for c in spec.mixture.parts.components]
    assert found == [(c.name, c.weight, c.max_epochs, bool(c.parts)) for c in draft.mixture.components]


def _absolute(path: str, folder: Path) -> str:
    return os.path.abspath(os.path.join(folder, path))  # noqa: PTH100, PTH118 - the same as a spec's paths


def plain(node: Node | None) -> object:
    match node:
        case Mapping():
            return {entry.key.text: plain(entry.value) for entry in node.entries}
        case Sequence():
            return [plain(item) for item in node.items]
        case Scalar():
            return node.value
    raise AssertionError("no node")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([None, 0, 2]), st.booleans())
def test_any_json_reads_as_the_standard_library_reads_it(value: object, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    issues = Issues()
    assert plain(parse_json(Text("x", text), issues)) == json.loads(text)
    assert issues.found == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.text(st.sampled_from('{}[]",:\\u0 1e-.tfn\n'), max_size=30))
def test_json_is_refused_where_the_standard_library_refuses_it(text: str) -> None:
    issues = Issues()
    found = parse_json(Text("x", text), issues)
    try:
        value = json.loads(text)
    except ValueError:
        assert found is None
        assert issues.found
        return
    if found is not None and not issues.found:  # duplicate keys, surrogates and U+0000 are refused here only
        assert plain(found) == value


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("a-{8..11}.tar", ["a-8.tar", "a-9.tar", "a-10.tar", "a-11.tar"]),
        ("a-{008..010}.tar", ["a-008.tar", "a-009.tar", "a-010.tar"]),
        ("a-{2..0}", ["a-2", "a-1", "a-0"]),
        ("{a,b}/{0..1}", ["a/0", "a/1", "b/0", "b/1"]),
        ("{a,b{1,2}}", ["a", "b1", "b2"]),
        ("{a}", ["{a}"]),
        ("{}", ["{}"]),
    ],
)
def test_braces(pattern: str, names: list[str]) -> None:
    assert expanded(pattern) == names


@pytest.mark.parametrize(
    ("path", "base", "folder", "result"),
    [
        ("./a.jsonl", "in/x.yaml", "in", "./a.jsonl"),
        ("./a/*.jsonl", "in/x.yaml", ".", "in/a/*.jsonl"),
        ("../a.jsonl", "in/x.yaml", "specs", "../a.jsonl"),
        ("/corpora/a.jsonl", "in/x.yaml", "specs", "/corpora/a.jsonl"),
        ("s3://corpora/a/*.jsonl", "in/x.yaml", "specs", "s3://corpora/a/*.jsonl"),
    ],
)
def test_paths_follow_the_spec(path: str, base: str, folder: str, result: str) -> None:
    assert placed(path, base, folder) == result


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/web.jsonl.zst", "web"),
        ("data/web/*.parquet", "web"),
        ("s3://corpora/coyo/", "coyo"),
        ("a/shard_{000..100}.tar", "a"),
        ("./coco", "coco"),
        ("*", "*"),
        ("/", "data"),
    ],
)
def test_what_a_path_is_called(path: str, name: str) -> None:
    assert last_part(path) == name


def test_a_property_has_one_type_in_all_sources() -> None:
    findings = Findings()
    sources = Sources(Options("train", (), None, ".", INSTALLED), findings)
    for name, kind in (("a", "int64"), ("b", "string"), ("c", "int64"), ("d", None)):
        label = "Year" if name == "c" else "year"
        properties = [DraftProperty(label, "meta.year", kind)]
        sources.add(name, [f"{name}.jsonl"], "jsonl", PLACE, properties=properties)
    names = [[item.name for item in source.properties] for source in sources.finished()]
    assert names == [["year"], ["b_year"], ["year"], ["d_year"]]


def test_a_property_named_after_its_source_is_no_other_of_the_source() -> None:
    sources = Sources(Options("train", (), None, ".", INSTALLED), Findings())
    sources.add("a", ["a.jsonl"], "jsonl", PLACE, properties=[DraftProperty("year", "year", "int64")])
    both = [DraftProperty("b_year", "x", "string"), DraftProperty("year", "year", "string")]
    sources.add("b", ["b.jsonl"], "jsonl", PLACE, properties=both)
    assert [(p.name, p.path) for p in sources.finished()[1].properties] == [("b_year", "x"), ("b_year_2", "year")]


def test_content_is_chosen_by_name_and_else_listed() -> None:
    columns = [Column("id", "id", "string"), Column("meta.text", "meta.text", "string"), Column("n", "n", "int64")]
    chosen = choose(columns, None)
    assert chosen is not None
    assert (chosen.content, chosen.certain) == ("meta.text", True)
    assert [(p.name, p.shown_only) for p in chosen.properties] == [("id", True), ("n", False)]
    guessed = choose([columns[0], replace(columns[0], name="x", path="x")], None)
    assert guessed is not None
    assert (guessed.content, guessed.certain) == ("id", False)
    assert choose(columns[2:], None) is None
    wanted = choose(columns, "n")
    assert wanted is not None
    assert wanted.content == "n"


def test_secrets_are_taken_out_of_texts() -> None:
    assert without_secrets("a s3://u:p@h/x b") == "a (a URL with credentials) b"
    assert without_secrets("https://h/x?a=1&api_key=2") == "(a URL with credentials)"
    assert without_secrets("https://h/x?a=1, and http://[bad") == "https://h/x?a=1, and http://[bad"
