"""Each folder of `cases` is an input with the exact spec that comes of it, and the exact list of what it does not say.

The inputs are written in the shapes of NVIDIA/Megatron-Energon, NVIDIA/Megatron-LM, allenai/OLMo-core,
huggingface/hub-docs and mlcommons/croissant; none of them is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from mixtera.importers import Imported, Installed, read
from mixtera.spec import load

CASES = Path(__file__).parent / "cases"
INSTALLED = Installed(("jsonl", "parquet"), ("file",))
"""Not what is installed: the golden files stay as they are when a format is added."""


@dataclass(frozen=True)
class Case:
    """A folder of `cases`: the file to import, what it should be taken for, and the split."""

    folder: str
    file: str
    kind: str
    split: str = "train"


TABLE = [
    Case("energon-blend", "metadataset.yaml", "energon"),
    Case("energon-v1", "metadataset.yaml", "energon"),
    Case("energon-epochized", "metadataset.yaml", "energon"),
    Case("energon-val", "metadataset.yaml", "energon", "val"),
    Case("energon-join", "metadataset.yaml", "energon"),
    Case("megatron-words", "blend.txt", "megatron"),
    Case("megatron-json", "per-split.json", "megatron"),
    Case("megatron-unweighted", "list.json", "megatron"),
    Case("olmo-core", "mixture.yaml", "olmo-core"),
    Case("olmo-core-dataset", "mixture.yaml", "olmo-core"),
    Case("hf-card-configs", "README.md", "hf-card"),
    Case("hf-card-default", "README.md", "hf-card"),
    Case("croissant", "metadata.json", "croissant"),
    Case("croissant-old", "metadata.json", "croissant"),
    Case("croissant-hub", "croissant.json", "croissant", "validation"),
]


def imported(case: Case, monkeypatch: pytest.MonkeyPatch) -> Imported:
    monkeypatch.chdir(CASES / case.folder)
    return read(case.file, split=case.split, installed=INSTALLED)


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.folder)
def test_the_spec_and_the_list_are_exactly_these(
    case: Case, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = imported(case, monkeypatch)
    assert result.kind == case.kind
    listed = "".join(f"{item}\n" for item in result.untranslated)
    for name, text in (("spec.yaml", result.spec_text), ("untranslated.txt", listed)):
        golden = CASES / case.folder / name
        if request.config.getoption("--write-golden"):
            golden.write_text(text, encoding="utf-8")
        assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.folder)
def test_the_comments_list_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    result = imported(case, monkeypatch)
    comments = " ".join(line.lstrip("# ") for line in result.spec_text.splitlines() if line.startswith("#"))
    assert result.untranslated
    for item in result.untranslated:
        assert " ".join(str(item).split()) in comments


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.folder)
def test_the_spec_is_right_once_its_formats_are_installed(
    case: Case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Formats that are not installed are all that `mixtera check` finds: with `jsonl` instead, it finds nothing."""
    text = imported(case, monkeypatch).spec_text
    for name in ("webdataset", "megatron", "tokens", "csv"):
        text = text.replace(f"format: {name}", "format: jsonl")
    file = tmp_path / "spec.yaml"
    file.write_text(text, encoding="utf-8")
    assert load(file).sources


def test_no_case_is_left_over() -> None:
    assert {path.name for path in CASES.iterdir()} == {case.folder for case in TABLE}
