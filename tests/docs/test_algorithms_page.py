"""The page of algorithms says what the algorithms say of themselves."""

from __future__ import annotations

from types import ModuleType

import pytest

from mixtera import registry
from tests.docs.test_formats_page import DOCS, generate

__all__ = ["generate"]


def test_the_page_is_that_of_make_docs(generate: ModuleType) -> None:
    assert (DOCS / "reference" / "algorithms.md").read_text(encoding="utf-8") == generate.algorithms()


@pytest.mark.parametrize("name", registry.names("algorithms"))
def test_the_page_has_every_algorithm_and_option(name: str, generate: ModuleType) -> None:
    page = generate.algorithms()
    section = page[page.index(f"\n## {name}\n") :].split("\n## ")[1]
    for option in registry.algorithm_named(name).options:
        assert f"| `{option.name}` |" in section
