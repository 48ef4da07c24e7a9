"""Token files from the files to PyTorch and JAX, through the commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import mixtera
from mixtera.catalog.accompanied import with_beside
from mixtera.cli.main import main
from mixtera.contracts.storage import FileInfo
from mixtera_backends.storage.local import LocalStorage

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
        [sys.executable, "-c", JAX],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        check=True,
        timeout=600,
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


OLD_ENDS = [0, 3, 9]
NEW_ENDS = [0, 5, 9]
BESIDE = """version: 1
name: beside
sources:
  books: {{path: "{pattern}", format: "{format}", content: {{tokens: tokens}}, properties: {{size: tokens}}}}
mixture: {{by: dataset, weights: natural}}
order: {{seed: 3, chunk_size: 8, lanes: 1, granule: 1, shuffle: none}}
"""


def write_pair(kind: str, ends: list[int]) -> None:
    """Nine tokens in two documents, and the file beside them that says so; the tokens do not change with `ends`."""
    if kind == "megatron":
        known = Path("x.bin").stat() if Path("x.bin").exists() else None
        write_megatron(Path("x.bin"), [list(range(*pair)) for pair in pairwise(ends)], [0, 1, 2])
        if known is not None:
            os.utime("x.bin", ns=(known.st_atime_ns, known.st_mtime_ns))
        return
    if not Path("x.ds").exists():
        Path("x.ds").write_bytes(np.arange(9, dtype=np.uint16).tobytes())
    Path("x.ds.index").write_bytes(np.array(ends[1:], np.int64).tobytes())


@pytest.mark.parametrize(("kind", "pattern"), [("megatron", "*.bin"), ("tokens", "*.ds"), ("megatron", "x.b?n")])
def test_a_file_beside_that_alone_changes_is_noticed(
    kind: str, pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIXTERA_CATALOG", raising=False)
    write_pair(kind, OLD_ENDS)
    Path("spec.yaml").write_text(BESIDE.format(pattern=pattern, format=kind))
    assert main(["index", "spec.yaml", "--quiet"]) == 0
    assert main(["lock", "spec.yaml", "--quiet"]) == main(["lock", "--check", "spec.yaml", "--quiet"]) == 0
    assert main(["compile", "spec.yaml", "-o", "plan", "--quiet"]) == 0
    assert main(["stream", "plan", "--format", "jsonl"]) == 0
    found = [json.loads(line)["tokens"] for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert found == [[0, 1, 2], [3, 4, 5, 6, 7, 8]]

    write_pair(kind, NEW_ENDS)
    assert main(["stream", "plan", "--format", "jsonl"]) == 3
    beside = "x.idx" if kind == "megatron" else "x.ds.index"
    err = capsys.readouterr().err
    assert f"{beside}, which says where the samples of" in err
    assert "run `mixtera index` and compile again" in err
    assert main(["lock", "--check", "spec.yaml"]) == 1
    assert "beside it" in capsys.readouterr().out
    spec, catalog = mixtera.load("spec.yaml"), mixtera.Catalog.open(".mixtera")
    assert [len(one.differences) for one in catalog.verify(spec)] == [1]
    assert [one.changed for one in catalog.index(spec).sources] == [1]
    assert [one.changed for one in catalog.index(spec).sources] == [0]
    assert main(["compile", "spec.yaml", "-o", "plan", "--quiet", "--no-lock"]) == 0
    assert main(["stream", "plan", "--format", "jsonl"]) == 0
    found = [json.loads(line)["tokens"] for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert found == [[0, 1, 2, 3, 4], [5, 6, 7, 8]]

    Path("copy").mkdir()
    for path in (*Path().glob("x.*"),):
        Path("copy", path.name).write_bytes(path.read_bytes())
    moved = mixtera.Plan.open("plan", remap={str(tmp_path): str(tmp_path / "copy")})
    assert sum(batch.num_rows for batch in moved.stream(batch_size=1)) == 2


def test_files_beside_are_found_by_a_listing_and_looked_at_one_by_one_only_where_the_pattern_hides_them(
    tmp_path: Path,
) -> None:
    class Counted(LocalStorage):
        stats = 0

        def stat(self, url: str) -> FileInfo:
            type(self).stats += 1
            return super().stat(url)

    for number in range(20):
        write_megatron(tmp_path / f"{number}.bin", [[1]], [0, 1])
    (tmp_path / "7.idx").unlink()
    storage = Counted()
    for pattern, stats in (("*.bin", 1), ("*.b?n", 21)):
        patterns = [str(tmp_path / pattern)]
        files = storage.expand(patterns)
        found = with_beside("megatron", storage, patterns, files)
        assert [file.name for file in found if not file.beside] == ["7.bin"]
        assert Counted.stats == stats
    assert found[0].beside == storage.stat(str(tmp_path / "0.idx")).mark
    assert with_beside("jsonl", storage, patterns, files) == files
