"""The flowchart."""

from __future__ import annotations

import re

import pytest

from mixtera.explanation.escaping import mermaid_text, shown
from mixtera.explanation.mermaid import COMPONENTS
from tests.explanation.test_html import SHARED, endless, explained, many, nasty

pytestmark = pytest.mark.usefixtures("short_simulation")
TEXT = r'"(?:[^"#]|#\d+;)*"'
NODE = rf"\w+(?:\[\({TEXT}\)\]|\(\[{TEXT}\]\)|\{{\{{{TEXT}\}}\}}|\[{TEXT}\])"
EDGE = rf"\w+ (?:-->|-\.->)(?:\|{TEXT}\|)? \w+(?:\[{TEXT}\])?"
LINE = re.compile(rf"flowchart LR|(?:  )+(?:subgraph \w+\[{TEXT}\]|end|{NODE}|{EDGE})")


def check_form(text: str) -> None:
    """Only lines of the forms that are written, whatever names hold; subgraphs are closed."""
    lines = text.splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert sum(line.strip().startswith("subgraph") for line in lines) == sum(line.strip() == "end" for line in lines)
    assert len(text) < 50_000  # what Mermaid draws by default


def test_the_way_of_the_samples() -> None:
    text = explained(SHARED).to_mermaid()
    check_form(text)
    assert 'source0 -->|"9,740 samples"| mixture' in text  # without facts there is no filter to show
    assert '"c0<br/>70.00 %, 9,000 samples<br/>0.03 epochs"' in text
    assert "nothing left at the end" in text
    assert text.endswith("mixture --> stream\n")


def test_large_mixtures_are_cut_to_the_largest_shares() -> None:
    found = explained(many())
    text = found.to_mermaid()
    check_form(text)
    drawn = set(re.findall(r'"(domain \d+)<br/>', text))
    largest = sorted((leaf for part in found.report.mixture for leaf in part.parts), key=lambda part: -part.share)
    assert drawn == {part.name for part in largest[:COMPONENTS]}
    more = sum(int(number) for number in re.findall(r'"(\d+) more<br/>', text))
    assert more == 200 - COMPONENTS


def test_names_cannot_leave_their_label() -> None:
    text = explained(nasty()).to_mermaid()
    check_form(text)
    assert "<script" not in text
    assert "#60;script#62;alert(1)#60;/script#62;" in text


def test_without_an_end() -> None:
    text = explained(endless()).to_mermaid()
    check_form(text)
    assert "without end" in text
    assert "epochs" not in text


def test_escaping() -> None:
    assert mermaid_text('a "b" #1; `c` \\n <d>&[e]|{f}') == (
        "a #34;b#34; #35;1; #96;c#96; #92;n #60;d#62;#38;#91;e#93;#124;#123;f#125;"
    )
    assert mermaid_text("naïve 日本") == "naïve 日本"
    assert mermaid_text("a\nb\x00") == "a#65533;b#65533;"
    assert shown("tab\tline\nesc\x1b bidi\u202e sep\u2028 surrogate\ud800 ok é 😀") == (
        "tab�line�esc� bidi� sep� surrogate� ok é 😀"
    )
