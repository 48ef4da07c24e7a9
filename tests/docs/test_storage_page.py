"""The page of storages says what the storages say of themselves."""

from __future__ import annotations

from types import ModuleType

import pytest

from mixtera import registry
from mixtera.contracts.storage import Configurable
from tests.docs.test_formats_page import DOCS, generate

__all__ = ["generate"]


def test_the_page_is_that_of_make_docs(generate: ModuleType) -> None:
    assert (DOCS / "reference" / "storage.md").read_text(encoding="utf-8") == generate.storages()


@pytest.mark.parametrize("name", ["fsspec", "local", "lustre", "s3"])
def test_the_page_has_every_storage_and_option(name: str, generate: ModuleType) -> None:
    page = generate.storages()
    section = page[page.index(f"\n## {name}\n") :].split("\n## ")[1]
    storage = registry.storage_named(name)
    profile = storage.profile()
    row = next(line for line in page.splitlines() if line.startswith(f"| [{name}]"))
    assert row.endswith(f"| gaps up to {profile.gap_bytes >> 10} KiB | {profile.concurrency} |")
    for option in storage.options if isinstance(storage, Configurable) else ():
        assert f"| `{option.name}` | {option.kind} |" in section
        assert option.variable in section
