"""Token files on S3: indexed and read with what lies beside them, whole documents and parts in any order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mixtera
from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import MixteraError, StorageError
from mixtera.registry import format_named, storage_of, storage_of_file
from mixtera.testing.format import request, scan_file
from tests.formats.token_files import as_documents, write_megatron
from tests.storage.objects import Objects, new_root
from tests.storage.weed import Weed

CONTENT = (ContentColumn("tokens", "tokens"),)
COUNT = (PropertyColumn("token_count", "tokens", "int64"),)
NAMES = ("megatron", "tokens")


@pytest.fixture
def documents() -> list[list[int]]:
    random = np.random.default_rng(8)
    return [random.integers(0, 60_000, i % 50).tolist() for i in range(400)]


def put(objects: Objects, directory: Path, name: str, documents: list[list[int]]) -> str:
    """Write the documents as one of the formats has them; returns the URL of their tokens."""
    root = new_root()
    if name == "megatron":
        write_megatron(directory / "a.bin", documents, as_documents(documents))
        files = ["a.bin", "a.idx"]
    else:
        np.array([token for document in documents for token in document], "<u2").tofile(directory / "a.ds")
        np.cumsum([len(document) for document in documents]).astype("<u8").tofile(directory / "a.ds.index")
        files = ["a.ds", "a.ds.index"]
    for file in files:
        objects.put(f"{root}/{file}", (directory / file).read_bytes())
    return f"{root}/{files[0]}"


def listed(url: str) -> tuple[Storage, FileInfo]:
    """The file as indexing finds it, and the storage that training reads it through."""
    (file,) = storage_of(url).expand([url])
    return storage_of_file(file), file


@pytest.mark.parametrize("name", NAMES)
def test_documents_and_parts_of_them(
    name: str, s3: Weed, objects: Objects, documents: list[list[int]], tmp_path: Path
) -> None:
    url = put(objects, tmp_path, name, documents)
    table = scan_file(format_named(name), Path(tmp_path / url.rsplit("/", 1)[1]), COUNT, CONTENT)[0]
    storage, file = listed(url)
    pieces = [piece.table for piece in format_named(name).scan(storage, file, COUNT, CONTENT)]
    assert [piece.to_pydict() for piece in pieces] == [batch.to_pydict() for batch in table.to_batches()]
    reader = format_named(name).reader(storage, file, CONTENT, 0)
    assert reader.read(request(table, range(400), 0))["tokens"].to_pylist() == documents
    random = np.random.default_rng(1)
    chosen = random.integers(0, 400, 200)
    starts = table["offset"].to_numpy()[chosen]
    found = reader.tokens(starts, starts + table["length"].to_numpy()[chosen] // 2 // 2 * 2)
    assert found.tolist() == [token for i in chosen for token in documents[i][: len(documents[i]) // 2]]
    reader.close()


@pytest.mark.parametrize("name", NAMES)
def test_what_lies_beside_is_missing(
    name: str, s3: Weed, objects: Objects, documents: list[list[int]], tmp_path: Path
) -> None:
    url = put(objects, tmp_path, name, documents)
    objects.delete(url.replace(".bin", ".idx") if name == "megatron" else f"{url}.index")
    storage, file = listed(url)
    with pytest.raises(MixteraError, match=r"a\.(bin|ds): .*a\.(idx|ds\.index)"):
        list(format_named(name).scan(storage, file, COUNT, CONTENT))


@pytest.mark.parametrize("name", NAMES)
def test_an_object_that_was_replaced_is_refused(
    name: str, s3: Weed, objects: Objects, documents: list[list[int]], tmp_path: Path
) -> None:
    url = put(objects, tmp_path, name, documents)
    storage, file = listed(url)
    table = scan_file(format_named(name), Path(tmp_path / url.rsplit("/", 1)[1]), COUNT, CONTENT)[0]
    objects.put(url, bytes(file.size))
    with pytest.raises(MixteraError, match=r"a\.(bin|ds)"):
        format_named(name).reader(storage, file, CONTENT, 0).read(request(table, [399], 0))


@pytest.mark.parametrize("name", NAMES)
def test_what_lies_beside_is_replaced_alone(
    name: str,
    s3: Weed,
    objects: Objects,
    documents: list[list[int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The index finds it by its etag, and a plan of the old one refuses the object, which has not changed."""
    url = put(objects, tmp_path, name, documents[:20])
    monkeypatch.chdir(tmp_path)
    root, file = url.rsplit("/", 1)
    source = f'{{path: "{root}/*.{file[2:]}", format: {name}, content: {{tokens: tokens}}}}'
    Path("spec.yaml").write_text(
        f"version: 1\nsources: {{books: {source}}}\nmixture: {{by: dataset, weights: natural}}\n"
    )
    spec, catalog = mixtera.load("spec.yaml"), mixtera.Catalog.open("catalog")
    catalog.index(spec, workers=1)
    plan = mixtera.compile(spec, catalog)
    assert sorted(row["tokens"] for batch in plan.stream(batch_size=1) for row in batch.to_pylist()) == sorted(
        documents[:20]
    )
    assert [one.changed for one in catalog.index(spec, workers=1).sources] == [0]
    moved = [documents[0] + documents[1][:1], documents[1][1:], *documents[2:20]]
    put(objects, tmp_path, name, moved)
    beside = "a.ds.index" if name == "tokens" else "a.idx"
    objects.put(f"{root}/{beside}", (tmp_path / beside).read_bytes())
    with pytest.raises(StorageError, match=r"which says where the samples of .* are, changed .*etag"):
        list(plan.stream(batch_size=1))
    assert [one.changed for one in catalog.index(spec, workers=1).sources] == [1]
    plan = mixtera.compile(spec, catalog)
    assert sorted(row["tokens"] for batch in plan.stream(batch_size=1) for row in batch.to_pylist()) == sorted(moved)
