"""Rows out of files that hold tokens in several types: each is what the files themselves say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mixtera

TOKENS = 900
ROW = 16 + 1
"""Tokens of a row: the labels are one further."""
KINDS = {"a-0.u16": np.dtype("<u2"), "a-1.u16": np.dtype("<u2"), "b.u32": np.dtype("<u4"), "c.npy": np.dtype(">i4")}
SPEC = """
version: 1
name: kinds
sources:
  a: {path: "a-*.u16", format: {name: tokens, separator: 0}, content: tokens}
  b: {path: b.u32, format: {name: tokens, separator: 0}, content: tokens}
  c: {path: c.npy, format: {name: tokens, length: 7}, content: tokens}
mixture: {components: [COMPONENTS]}
order: {chunk_size: 32, lanes: 2, granule: 4}
tokens: {tokenizer: bytes, sequence_length: 16, packing: PACKING}
"""
COMPONENT = "{name: NAME, where: {dataset: NAME}, weight: 1}"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files."""
    found = tmp_path_factory.mktemp("kinds")
    random = np.random.default_rng(3)
    for name, kind in KINDS.items():
        tokens = (random.integers(1, 200, TOKENS) * (random.random(TOKENS) > 0.1)).astype(kind)
        if name.endswith(".npy"):
            np.save(found / name, tokens)
        else:
            tokens.tofile(found / name)
    return found


@pytest.mark.parametrize("packing", ["concat", "none"])
@pytest.mark.parametrize("names", ["a", "b", "ac", "abc"])
def test_rows_are_the_tokens_of_their_files(directory: Path, tmp_path: Path, names: str, packing: str) -> None:
    """One file and several; of one type that is read to its place, of one that is looked at first, and of more."""
    components = ", ".join(COMPONENT.replace("NAME", name) for name in names)
    path = directory / f"{names}-{packing}.yaml"
    path.write_text(SPEC.replace("COMPONENTS", components).replace("PACKING", packing))
    spec = mixtera.load(str(path))
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    catalog.index(spec)
    plan = mixtera.compile(spec, catalog)
    delivered, lengths = [], []
    for batch in plan.stream(batch_size=4):
        delivered += batch["tokens"].to_pylist()
        lengths += batch["length"].to_pylist() if packing == "none" else [ROW] * 4
    assert len(delivered) > 16
    expected = rows(plan, packing)
    assert {len(row) for row in expected} == {ROW} or packing == "none"
    cut = [row[:length] for row, length in zip(delivered, lengths, strict=True)]
    assert cut == expected[: len(delivered)]


def rows(plan: mixtera.Plan, packing: str) -> list[list[int]]:
    """The rows of a plan, out of its files, by where their pieces lie."""
    paths = [Path(url.removeprefix("file://")) for url in plan.data.files.column("url").to_pylist()]
    kinds = [KINDS[path.name] for path in paths]
    heads = [path.stat().st_size - TOKENS * kind.itemsize for path, kind in zip(paths, kinds, strict=True)]
    tokens = [np.fromfile(*of, offset=head).tolist() for *of, head in zip(paths, kinds, heads, strict=True)]
    if packing == "none":
        documents = plan.pointers.range(0, len(plan))
        pieces = [(row, 0, ROW) for row in range(len(plan))]
    else:
        found = plan.sequences.range(0, len(plan))
        documents = found.documents
        pieces = list(zip(found.sequence.tolist(), found.first.tolist(), found.last.tolist(), strict=True))
    result: list[list[int]] = [[] for _ in range(len(plan))]
    places = zip(documents.file.tolist(), documents.start.tolist(), documents.stop.tolist(), strict=True)
    for (row, first, last), (file, start, stop) in zip(pieces, places, strict=True):
        begin, end = ((byte - heads[file]) // kinds[file].itemsize for byte in (start, stop))
        result[row] += tokens[file][begin:end][first:last]
    return result
