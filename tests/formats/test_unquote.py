import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mixtera.formats.jsonl.unquote import unquoted

pieces = st.sampled_from(["\\", "\\\\", '"', "\n", "\t", "/", "é", "世", "a", "plain ", "n", "u", ""])
texts = st.lists(pieces, max_size=12).map("".join)


def raw(*values: str) -> list[msgspec.Raw]:
    return [msgspec.Raw(value.encode()) for value in values]


@given(st.lists(texts, min_size=1, max_size=20))
@example(["", "é\\"])
@example(["\\", "\\é\\\\", "\\"])
def test_strings_are_those_that_were_written(values):
    found = unquoted(raw(*(json.dumps(value, ensure_ascii=False) for value in values)))
    if found is None:
        assert "".join(values).isascii()
        return
    found.validate(full=True)
    assert found.to_pylist() == values


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"])), min_size=1, max_size=20))
def test_any_text(values):
    found = unquoted(raw(*(msgspec.json.encode(value).decode() for value in values)))
    assert found is None or found.to_pylist() == values


def test_escapes_of_two_characters():
    assert unquoted(raw('"é\\"\\\\\\/\\b\\f\\n\\r\\t"')).to_pylist() == ['é"\\/\b\f\n\r\t']


@pytest.mark.parametrize("values", [['"é"', "3"], ["null"], ['"é\\u00e9"'], ["[1]"], ['"a"', '{"b": "é"}']])
def test_what_is_left_to_the_json_decoder(values):
    assert unquoted(raw(*values)) is None


def test_bytes_that_are_not_utf8_are_no_string():
    assert unquoted([msgspec.Raw(b'"a\xff"')]) is None
    assert unquoted([msgspec.Raw(b'"a\xff\\n"')]) is None
