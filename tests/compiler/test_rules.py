"""Every rule, with the plans before and after it: `rules/<rule>.txt`, read like code and written by `make golden`.

A case is a line `# what it shows`, the rest of a spec, the plan of each source before the rule (the rules in front of
it have run) and after it. A source that the rule leaves as it is says so.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mixtera.compiler.build import build
from mixtera.compiler.rewrite import rewrite_plan
from mixtera.compiler.rules import RULES, Rule
from mixtera.compiler.show import show_plan
from mixtera.spec import Spec
from mixtera.testing.catalog import MadeSource
from tests.compiler.made import catalog_of, spec_of

CASES = Path(__file__).parent / "rules"
WEB = MadeSource(
    "web",
    {"language": "string", "year": "int64", "clean": "bool", "day": "date", "topics": "list<string>"},
    [],
)
CODE = MadeSource("code", {"language": "string", "stars": "int64"}, [], "parquet")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Rule, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = CASES / f"{rule.__name__}.txt"
    text = path.read_text(encoding="utf-8")
    found = "\n".join(case(rule, spec, tmp_path) for spec in re.findall(r"^# .*\n(?:(?!#|--).*\n)+", text, re.M))
    if request.config.getoption("--write-golden"):
        path.write_text(found, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == found


def case(rule: Rule, text: str, tmp_path: Path) -> str:
    title, _, rest = text.partition("\n")
    spec = spec_of(tmp_path, rest, (WEB, CODE))
    return "\n".join([title, rest.rstrip(), *plans(rule, spec, tmp_path)]) + "\n"


def plans(rule: Rule, spec: Spec, tmp_path: Path) -> list[str]:
    lines = []
    catalog = catalog_of(tmp_path, (WEB, CODE))
    for source in build(spec, [catalog.source(one) for one in spec.sources]):
        before = rewrite_plan(source.plan, RULES[: RULES.index(rule)])
        after = rewrite_plan(before, (rule,))
        name = source.source.name
        if after == before:
            lines += [f"-- {name}, unchanged", show_plan(before)]
        else:
            lines += [f"-- {name}, before", show_plan(before), f"-- {name}, after", show_plan(after)]
    return lines


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_rule_changes_something_in_its_cases(rule: Rule) -> None:
    assert ", after\n" in (CASES / f"{rule.__name__}.txt").read_text(encoding="utf-8")
