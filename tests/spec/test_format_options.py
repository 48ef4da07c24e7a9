"""`format:` with options: as a mapping, and as the one text that plans and catalogs keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixtera.errors import SpecError
from mixtera.spec import load

SPEC = """version: 1
name: s
sources:
  a: {{path: a.bin, format: {format}, content: {{tokens: tokens}}}}
mixture: {{by: dataset}}
"""


def loaded(directory: Path, text: str) -> str:
    file = directory / "spec.yaml"
    file.write_text(SPEC.format(format=text))
    return load(file).sources[0].format


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("tokens", "tokens"),
        ("{name: tokens}", "tokens"),
        ("{name: tokens, dtype: uint16, separator: 50256}", "tokens(dtype=uint16,separator=50256)"),
        ("{dtype: uint16, name: tokens}", "tokens(dtype=uint16)"),
        ('"tokens(dtype=uint16)"', "tokens(dtype=uint16)"),
        ("{name: megatron, rows: sequences}", "megatron(rows=sequences)"),
    ],
)
def test_options_are_kept_behind_the_name(tmp_path: Path, text: str, kept: str) -> None:
    assert loaded(tmp_path, text) == kept


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{dtype: uint16}", "names no format; write {name: NAME, …} with one of the names arrow"),
        ("{name: token, dtype: uint16}", "format: 'token(dtype=uint16)' names no format"),
        ("{name: token}", "format: 'token' names no format"),
        ("{name: tokens, dtyp: uint16}", "format: the format 'tokens' has no option 'dtyp'; it has dtype, separator"),
        ("{name: tokens, dtype: float32}", "format: dtype: 'float32' is not allowed; allowed: uint8"),
        ("{name: tokens, separator: [1]}", "format: separator: expected a word or a whole number, found"),
        ("{name: tokens, separator: 1.5}", "format: separator: expected a word or a whole number, found"),
        ("{name: tokens, separator: true}", "format: separator: expected a word or a whole number, found"),
        ('{name: tokens, separator: "1,length=2"}', "format: separator: expected a word or a whole number, found"),
        ("{name: jsonl, dtype: uint16}", "format: the format 'jsonl' takes no options; found dtype"),
        ("[tokens]", "format: "),
        ('"tokens(dtype)"', "no format with options; write NAME(OPTION=VALUE"),
        ('"nothing(dtype=uint16)"', "names no format"),
        ("{}", "names no format"),
    ],
)
def test_options_that_are_wrong_are_one_issue(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SpecError) as error:
        loaded(tmp_path, text)
    assert said in str(error.value)
    assert len(error.value.issues) == 1
    assert error.value.issues[0].line == 4
