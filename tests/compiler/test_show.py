"""Conditions as text: what is shown can be read back."""

from __future__ import annotations

import datetime

import pytest

from mixtera.compiler.nodes import Constant
from mixtera.compiler.show import show
from mixtera.spec import parse_predicate
from mixtera.spec.predicate import Compare, Matches, Span

SPAN = Span("spec.yaml", 1, 1, "")


@pytest.mark.parametrize(
    "text",
    [
        "year >= 2015 or year is None",
        'language in ("en", "de") and (clean or not quality < 0.5)',
        'language not in ("en",) and "law" in topics and "sport" not in topics',
        'not (name.startswith("a\\"b") or name.endswith("c\\\\d") or name.contains("é\\n"))',
        "clean == True and year is not None and count != -3",
    ],
)
def test_what_is_shown_can_be_read(text: str) -> None:
    assert show(parse_predicate(text)) == text


def test_constants_mappings_and_dates() -> None:
    assert show(Constant(False)) == "False"
    assert show(Matches("language", ("en", None, 3), SPAN)) == '{language: ["en", null, 3]}'
    assert show(Compare("day", "<", datetime.date(2024, 2, 29), SPAN)) == 'day < "2024-02-29"'
