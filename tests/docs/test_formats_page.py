"""The page of formats says what the formats say of themselves."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from mixtera import registry

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def generate() -> ModuleType:
    found = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_page_is_that_of_make_docs(generate: ModuleType) -> None:
    assert (DOCS / "reference" / "formats.md").read_text(encoding="utf-8") == generate.formats()


@pytest.mark.parametrize("name", ["arrow", "csv", "jsonl", "megatron", "parquet", "text", "tokens", "webdataset"])
def test_the_page_has_every_suffix_and_says_what_a_bad_sample_is(name: str, generate: ModuleType) -> None:
    page = generate.formats()
    section = page[page.index(f"\n## {name}\n") :].split("\n## ")[1]
    assert "Bad samples: " in section
    row = next(line for line in page.splitlines() if line.startswith(f"| [{name}]"))
    for suffix in registry.format_named(name).suffixes:
        assert suffix in row or any(suffix.endswith(f"{end}") and f"`{end}`" in row for end in generate.PACKED)
