"""Several columns become one text, as Python's own format would make it of plain fields."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.errors import TokenizerError
from mixtera.tokens.template import content_template, parse

BATCH = pa.record_batch({"title": ["One", None, "", None], "text": ["first", "second", None, None]})
TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=8) | st.none(), min_size=1, max_size=6)


def test_fields_are_joined_and_null_is_empty() -> None:
    got = parse("# {title}\n\n{text}{{}}").render(BATCH)
    assert got.to_pylist() == ["# One\n\nfirst{}", "# \n\nsecond{}", "# \n\n{}", None]
    assert parse("{text}").render(BATCH).equals(BATCH.column("text"))
    assert parse("{text}{text}").render(BATCH.slice(1, 2)).to_pylist() == ["secondsecond", None]
    assert parse("<{text}>").render(BATCH.slice(0, 0)).to_pylist() == []


@given(texts=TEXTS, before=st.text(max_size=5), between=st.text(max_size=5))
def test_it_is_what_format_makes(texts: list[str | None], before: str, between: str) -> None:
    escaped = [part.replace("{", "{{").replace("}", "}}") for part in (before, between)]
    template = f"{escaped[0]}{{a}}{escaped[1]}{{b.c}}"
    batch = pa.record_batch({"a": pa.array(texts, pa.string()), "b.c": pa.array(["x"] * len(texts), pa.large_string())})
    assert parse(template).render(batch).to_pylist() == [f"{before}{text or ''}{between}x" for text in texts]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.string_view()])
def test_types_may_differ(kind: pa.DataType) -> None:
    other = pa.array(["é", None]).dictionary_encode()
    batch = pa.record_batch({"a": pa.array([b"x", b"y"], pa.binary()).cast(kind), "b": other})
    got = parse("{a}-{b}").render(batch).to_pylist()
    expected = ["x-é", "y-"]
    assert got == (
        [text.encode() for text in expected] if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else expected
    )


def test_bytes_that_are_no_utf8_stay_as_they_are() -> None:
    batch = pa.record_batch({"a": pa.array([b"\xff"], pa.binary()), "b": pa.array(["é"])})
    assert parse("{a}{b}").render(batch).to_pylist() == [b"\xff" + "é".encode()]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{title", "character 1: { stands alone; write {{"),
        ("title}", "character 6: } stands alone; write }}"),
        ("a {} b", "character 3: {} is no field"),
        ("{text!r}", "is no field"),
        ("{text:>9}", "is no field"),
        ("{text[0]}", "is no field"),
        ("{0}", "is no field"),
        ("{ text }", "is no field"),
        ("{txt}", "there is no content column 'txt'; there are title, text; did you mean 'text'?"),
        ("just words", "has no field"),
        ("{{text}}", "has no field"),
        ("", "has no field"),
    ],
)
def test_a_template_that_is_wrong_is_named(template: str, said: str) -> None:
    with pytest.raises(TokenizerError) as caught:
        parse(template, ["title", "text"])
    assert said in str(caught.value)


def test_one_column_needs_no_template() -> None:
    assert content_template(["body"]).is_plain
    assert content_template(["text"], prefix="<{", suffix="}>").render(BATCH).to_pylist() == [
        "<{first}>", "<{second}>", None, None,
    ]  # fmt: skip
    assert content_template(["text"], "a{text}b", "(", ")").render(BATCH.slice(0, 1)).to_pylist() == ["(afirstb)"]


@pytest.mark.parametrize("columns", [["title", "text"], []])
def test_several_columns_need_one(columns: list[str]) -> None:
    with pytest.raises(TokenizerError, match=f"the content has {len(columns)} columns .*say how they become one text"):
        content_template(columns)


def test_columns_that_are_missing_or_no_text_are_refused() -> None:
    with pytest.raises(TokenizerError, match=r"a field 'titles', .*did you mean 'title'\?"):
        parse("{titles} {text}").render(BATCH)
    with pytest.raises(TokenizerError, match="a field of type int64 is no text"):
        parse("{n} {n}").render(pa.record_batch({"n": [1]}))
