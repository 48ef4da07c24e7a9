"""The page of engines says what the engines say of themselves."""

from __future__ import annotations

from types import ModuleType

import pytest

from mixtera import registry
from mixtera.contracts.engine import CAPABILITIES, Configurable, gaps_of
from tests.docs.test_formats_page import DOCS, generate

__all__ = ["generate"]

ENGINES = registry.names("engines")


def test_the_page_is_that_of_make_docs(generate: ModuleType) -> None:
    assert (DOCS / "reference" / "engines.md").read_text(encoding="utf-8") == generate.engines()


@pytest.mark.parametrize("name", ENGINES)
def test_the_page_has_every_engine_gap_and_option(name: str, generate: ModuleType) -> None:
    page = generate.engines()
    engine = registry.engine_class(name)
    section = page[page.index(f"\n## {name}\n") :].split("\n## ")[1]
    cells = next(line for line in page.splitlines() if line.startswith(f"| [{name}]")).strip("| ").split(" | ")
    able = dict(zip(CAPABILITIES, cells[2:], strict=True))
    gaps = gaps_of(engine)
    assert {each for each, cell in able.items() if cell not in ("yes", "–")} == set(gaps)
    assert all(able[each] == f"`{gap.kind}`" and gap.why in section for each, gap in gaps.items())
    for option in engine.options if isinstance(engine, Configurable) else ():
        assert f"| `{option.name}` | {option.kind} |" in section
        assert option.variable in section
