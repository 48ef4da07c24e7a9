"""The page: what it holds, and what it does not let through."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from mixtera.artifact.digest import digest
from mixtera.artifact.model import OrderParameters, PlanData, PlanSource
from mixtera.explanation import Explanation, explain
from mixtera.explanation.mixture import components
from mixtera.explanation.model import Overlap
from mixtera.explanation.numbers import count, percent
from mixtera.plan import Plan
from tests.explanation.plans import in_row_groups, labels, named, repeating, with_facts
from tests.explanation.test_progress import later, ramp
from tests.synthetic import plan_data

pytestmark = pytest.mark.usefixtures("short_simulation")
EVIL = "<script>alert(1)</script>"
NASTY = [
    '"><img src=x onerror=alert(2)>',
    "{{ 7 * 7 }}{% raw %}",
    "</style></title></svg><b>",
    "a\x1b[31m\u202eb\x00c",
    "`'&amp;",
]
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """A page as a list of elements, checked to be well nested."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def tags(self) -> Counter[str]:
        return Counter(tag for tag, _ in self.elements)


def explained(data: PlanData, **more: Any) -> Explanation:
    return explain(Plan(data, Path("nowhere"), digest(data)), **more)


@cache
def many(names: int = 200) -> PlanData:
    random = np.random.default_rng(1)
    counts = [int(n) for n in random.lognormal(4, 1, names) + 3]
    order = OrderParameters(7, "global", 1024, 8, 64)
    data = plan_data(
        labels(counts, 4), random.lognormal(0, 1, names).tolist(),
        epochs=random.choice([1, 2, 4], names).tolist(), on_exhaust="redistribute", order=order, segment_rows=1024,
    )  # fmt: skip
    return with_facts(
        named(data, [f"group {n // 20}/domain {n}" for n in range(names)]), filter="year > 1", rows=99_999
    )


def nasty() -> PlanData:
    names = [EVIL, *(f"{name}/{EVIL}" for name in NASTY)]
    data = named(plan_data(labels([300, 200, 100, 80, 60, 40], 2), [5, 4, 3, 2, 1, 1]), names)
    data = with_facts(data, filter=f'language != "{EVIL}"')
    source = PlanSource(EVIL, "jsonl", (("text", "text"),))
    facts = data.facts | {"sources": [data.facts["sources"][0] | {"name": EVIL}]}
    return replace(data, name=EVIL, sources=(source,), facts=facts)


def endless() -> PlanData:
    data = plan_data(labels([9000, 7000], 3), [3, 1], order=OrderParameters(7, "global", 1024, 8, 64))
    return repeating(repeating(data, 0), 1)


SHARED = plan_data(labels([9000, 700, 40], 3), [70, 20, 10])
PLANS: dict[str, Callable[[], PlanData]] = {
    "without facts": lambda: SHARED,
    "row groups": lambda: in_row_groups(with_facts(SHARED), 4),
    "endless": endless,
    "ramp": ramp,
    "begins later": lambda: later(ramp(), 70_000),
    "one component": lambda: plan_data(labels([100], 1), [1.0]),
    "many": many,
    "nasty": nasty,
}


@cache
def page_of(name: str) -> str:
    return explained(PLANS[name](), readers=5, overlap=[]).to_html()


@pytest.mark.parametrize("name", PLANS)
def test_a_page_is_whole_runs_nothing_and_loads_nothing(name: str) -> None:
    text = page_of(name)
    page = Page(text)
    assert (page.wrong, page.open) == ([], [])
    assert text.startswith("<!doctype html>")
    assert page.tags["script"] == page.tags["img"] == page.tags["link"] == page.tags["iframe"] == page.tags["b"] == 0
    policies = [attrs for tag, attrs in page.elements if tag == "meta" and "http-equiv" in attrs]
    assert [attrs["content"] for attrs in policies] == ["default-src 'none'; style-src 'unsafe-inline'"]
    for tag, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
        assert not {"src", "href", "srcset", "action"} & attrs.keys(), (tag, attrs)
    assert "url(" not in text
    assert "@import" not in text
    assert len(text.encode()) < 1_000_000


@pytest.mark.parametrize("name", PLANS)
def test_every_plot_is_an_image_with_a_label_and_stands_in_both_widths(name: str) -> None:
    text = page_of(name)
    drawn = re.findall(r'<div class="plot (\w+)">(<svg.*?</svg>)</div>', text, re.DOTALL)
    assert Counter(width for width, _ in drawn) == {"wide": len(drawn) / 2, "narrow": len(drawn) / 2}
    assert len(drawn) >= 8
    for _, svg in drawn:
        root = ElementTree.fromstring(svg)
        assert root.attrib["role"] == "img"
        assert len(root.attrib["aria-label"]) > 20
        assert {"viewBox"} <= root.attrib.keys()
        assert not {"width", "height"} & root.attrib.keys()
        assert "NaN" not in svg
        assert "undefined" not in svg


def test_the_page_has_the_numbers_of_the_text() -> None:
    found = explained(many(), readers=6, batch=32, overlap=[Overlap("group 0/domain 1", "group 1/domain 21", 17)])
    page, report = Page(found.to_html()).text, found.report
    rows = set(re.findall(r"[\d,]*\d(?:\.\d+)?", page))
    for part in components(report.mixture):
        assert part.name in page
        assert {count(part.samples), count(part.delivered or 0), count(part.first_epoch_ends or 0)} <= rows
        assert percent(part.share) in page
    for line in str(found).splitlines():
        if not line.lstrip().startswith("…") and "simulated" not in line:
            assert set(re.findall(r"\d{1,3}(?:,\d{3})+", line)) <= rows, line
    assert "year > 1" in page
    for warning in report.warnings:
        assert warning.message.replace("`", "").split(";")[0] in page


def test_what_others_wrote_is_shown_and_does_nothing() -> None:
    text = explained(nasty(), readers=3, overlap=[Overlap(EVIL, NASTY[0], 5)]).to_html()
    assert EVIL not in text
    assert "<script" not in text
    assert text.count("onerror") == text.count("&lt;img src=x onerror") > 0
    page = Page(text)
    for name in (EVIL, NASTY[0], NASTY[1], "</style></title></svg><b>", "`'&amp;"):
        shown = name.replace("`", "")
        assert shown in page.text.replace("`", ""), name
    assert "a�[31m�b�c" in page.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", text)
    assert "49" not in [word for word in page.text.split() if word == "49"]


def test_marks_say_what_they_are() -> None:
    text = explained(ramp()).to_html()
    titles = re.findall(r"<title>(.*?)</title>", text, re.DOTALL)
    windows = [title for title in titles if title.startswith("positions ")]
    assert "positions 180,000 to" in windows[0] + "".join(windows)
    first = next(title for title in windows if title.startswith("positions 0 to"))
    assert first.splitlines()[1:] == ["web: 75.00 %", "code: 25.00 %"]


def test_two_pages_of_one_plan_are_the_same() -> None:
    assert explained(SHARED).to_html() == explained(SHARED).to_html()


@pytest.mark.parametrize("absent", ["vl_convert", "jinja2"])
def test_without_the_extra_the_error_names_it(absent: str) -> None:
    program = f"""
import sys
sys.modules[{absent!r}] = None
from tests.explanation.test_text import SHARED
from mixtera.explanation import Explanation
from mixtera.explanation.build import report
from mixtera.errors import PluginError
found = Explanation(report(SHARED, "sha256:0"))
assert str(found) and found.to_mermaid()
try:
    found.to_html()
except PluginError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"the HTML page needs {absent}: pip install 'mixtera[report]'\n"
