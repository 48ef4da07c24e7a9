"""Token files from the files to PyTorch and JAX, through the commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mixtera
from mixtera.cli.main import main

from .token_files import as_documents, write_megatron

SPEC = """version: 1
name: tokens
sources:
  books: {path: "data/*.bin", content: {tokens: tokens}, properties: {token_count: tokens}}
  notes:
    path: "data/*.npy"
    format: {name: tokens, separator: 0}
    content: {tokens: tokens}
    properties: {token_count: {path: tokens, type: int64}}
mixture:
  components:
    - {name: short, where: token_count < 20, weight: 30, on_exhaust: repeat}
    - {name: long, where: token_count >= 60, weight: 70}
order: {seed: 3, chunk_size: 64, lanes: 4, granule: 8}
"""
JAX = """
import json, sys
import numpy as np
from mixtera.adapters.jax import MixteraLoader

ids = []
for batch in MixteraLoader("plan", batch_size=8):
    assert batch["tokens"].dtype == object and all(one.dtype == np.int32 for one in batch["tokens"])
    ids += [one.tolist() for one in batch["tokens"]]
json.dump(ids, sys.stdout)
"""


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[int]]]:
    """Two sources on disk, and the spec; file name → its documents."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIXTERA_CATALOG", raising=False)
    (tmp_path / "data").mkdir()
    random = np.random.default_rng(4)
    found: dict[str, list[list[int]]] = {}
    for name in ("a.bin", "b.bin"):
        found[name] = [random.integers(0, 200, i % 90).tolist() for i in range(300)]
        kind = "uint8" if name == "a.bin" else "int32"
        write_megatron(tmp_path / "data" / name, found[name], as_documents(found[name]), kind)
    found["c.npy"] = [[*random.integers(1, 60_000, i % 70).tolist(), 0] for i in range(400)]
    np.save("data/c.npy", np.array([token for document in found["c.npy"] for token in document], np.uint16))
    Path("spec.yaml").write_text(SPEC)
    return found


def test_from_files_to_trainers(documents: dict[str, list[list[int]]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "spec.yaml", "--quiet"]) == 0
    assert main(["compile", "spec.yaml", "-o", "plan", "--quiet"]) == 0
    assert main(["explain", "spec.yaml"]) == 0
    assert "tokens(separator=0)" in capsys.readouterr().out
    plan = mixtera.Plan.open("plan")
    pointers = plan.samples(0, len(plan)).to_pylist()
    expected = [documents[pointer["file"]][pointer["row"]] for pointer in pointers]
    assert {len(one) < 20 for one in expected} == {True, False}
    assert not any(20 <= len(one) < 60 for one in expected)

    assert main(["stream", "plan", "--format", "jsonl"]) == 0
    assert [json.loads(line)["tokens"] for line in capsys.readouterr().out.splitlines()] == expected
    assert main(["stream", "plan", "--limit", "4"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert f"<{len(expected[0]):,} items> " + ", ".join(map(str, expected[0][:3])) in shown[0]

    whole = len(expected) // 8 * 8
    assert in_torch("plan", 0) == in_torch("plan", 2) == expected[:whole]
    done = subprocess.run(
        [sys.executable, "-c", JAX], env={**os.environ, "JAX_PLATFORMS": "cpu"}, capture_output=True, check=True
    )
    assert json.loads(done.stdout) == expected[:whole]


def in_torch(plan: str, workers: int) -> list[list[int]]:
    import torch

    from mixtera.adapters.torch import loader

    found = []
    for batch in loader(plan, batch_size=8, num_workers=workers):
        assert isinstance(batch["tokens"], list)
        assert all(one.dtype == torch.int32 and one.dim() == 1 for one in batch["tokens"])
        found += [one.tolist() for one in batch["tokens"]]
    return found


def test_a_batch_of_one_length_and_of_nothing_is_a_list_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.arange(64, dtype="<u4").tofile("a.u32")
    Path("spec.yaml").write_text(
        "version: 1\nname: s\nsources:\n"
        "  a: {path: a.u32, format: {name: tokens, length: 8}, content: {tokens: tokens}}\n"
        "mixture: {by: dataset}\norder: {seed: 1, chunk_size: 8, lanes: 1, granule: 4, shuffle: none}\n"
    )
    assert main(["index", "spec.yaml", "--quiet"]) == 0
    assert main(["compile", "spec.yaml", "-o", "plan", "--quiet"]) == 0
    assert in_torch("plan", 0) == np.arange(64).reshape(8, 8).tolist()


@pytest.mark.parametrize(
    ("word", "format_", "path"), [("data/*.bin", "megatron", "data/*.bin"), ("data/c.npy", "tokens", "data/c.npy")]
)
def test_init_writes_a_spec_for_them(
    word: str, format_: str, path: str, documents: dict[str, list[list[int]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", word, "-o", "first.yaml"]) == 0
    text = Path("first.yaml").read_text()
    assert f"format: {format_}\n    content: {{tokens: tokens}}" in text
    assert path in text
    assert main(["index", "first.yaml", "--quiet"]) == 0


def test_init_of_a_folder_passes_the_indexes_over(
    documents: dict[str, list[list[int]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "data"]) == 0
    text = capsys.readouterr().out
    assert "format: megatron" in text
    assert "format: tokens" in text
    assert ".idx" not in text


def test_init_of_raw_tokens_says_what_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "train.bin"
    np.arange(9, dtype="<u2").tofile(path)
    assert main(["init", str(path)]) != 0
    assert "write `format: {name: tokens, dtype: uint16}`" in capsys.readouterr().err


def test_a_glob_of_both_files_is_an_error_that_says_so(
    documents: dict[str, list[list[int]]], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("spec.yaml").write_text(SPEC.replace('"data/*.bin"', '"data/[ab].*", format: megatron'))
    assert main(["index", "spec.yaml", "--quiet"]) == 1
    assert "a.idx is the index of a Megatron dataset: let `path` name the .bin files only" in capsys.readouterr().err
