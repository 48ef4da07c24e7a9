"""Every format on every storage: the stream of a plan is the one over local files."""

import gzip
import io
import json
import shutil
from contextlib import closing
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
import zstandard

import mixtera
from mixtera.registry import storage_of
from mixtera_backends.storage.lustre import mounts
from tests.storage.objects import new_root
from tests.storage.web import Web

ROWS = 300
TABLE = pa.table({"text": [f"line {n} é" for n in range(ROWS)], "number": list(range(ROWS))})
LINES = "".join(json.dumps(row) + "\n" for row in TABLE.to_pylist()).encode()


def _parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink, row_group_size=64)
    return sink.getvalue()


def _arrow() -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=64)
    return sink.getvalue()


def _csv() -> bytes:
    sink = io.BytesIO()
    pc.write_csv(TABLE, sink)
    return sink.getvalue()


FILES = {
    "jsonl": LINES,
    "jsonl.gz": gzip.compress(LINES),
    "jsonl.zst": zstandard.compress(LINES),
    "parquet": _parquet(),
    "arrow": _arrow(),
    "csv": _csv(),
    "txt": "a page é\n".encode() * 50,
}
STORAGES = ("lustre", "s3", "http", "memory", "zip", "zip over http")


@pytest.fixture
def place(request, tmp_path, monkeypatch):
    """Puts two files of a kind where a storage has them; the pattern of both there, and here."""

    def put(storage: str, kind: str) -> tuple[str, str]:
        for name in ("a", "deep/b"):
            path = tmp_path / "data" / f"{name}.{kind}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(FILES[kind])
        return _placed(storage, tmp_path, request, monkeypatch) + f"/**/*.{kind}", f"{tmp_path}/data/**/*.{kind}"

    return put


def _placed(storage: str, folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    data = folder / "data"
    files = {path.relative_to(data).as_posix(): path.read_bytes() for path in data.rglob("*.*")}
    match storage:
        case "lustre":
            (folder / "mountinfo").write_text(f"40 21 0:50 / {folder}/lustre rw - lustre host:/scratch rw\n")
            shutil.copytree(data, folder / "lustre")
            monkeypatch.setattr(mounts, "TABLE", str(folder / "mountinfo"))
            return f"{folder}/lustre"
        case "s3":
            request.getfixturevalue("s3")
            root = new_root()
            for name, content in files.items():
                request.getfixturevalue("objects").put(f"{root}/{name}", content)
            return root
        case "memory":
            for name, content in files.items():
                fsspec.filesystem("memory").pipe_file(f"memory://{folder.name}/{name}", content)
            return f"memory://{folder.name}"
        case "http":
            web = Web(data)
            request.addfinalizer(lambda: web.__exit__())
            return web.__enter__().url
        case _:
            archive = shutil.make_archive(str(folder / "all"), "zip", data)
            if storage == "zip":
                return f"zip://::file://{archive}"
            web = Web(folder)
            request.addfinalizer(lambda: web.__exit__())
            return f"zip://::{web.__enter__().url}/all.zip"


def _pattern(found: str) -> str:
    """A chain has its pattern in the first link."""
    if "::" not in found:
        return found
    chain, _, pattern = found.rpartition("/**/")
    return chain.replace("zip://", f"zip://**/{pattern}", 1)


def _stream(directory: Path, path: str) -> list[tuple[str, ...]]:
    directory.mkdir()
    form = "text" if path.split("::")[0].endswith(".txt") else None
    content, more = ("text", "") if form is None else ("text", ", format: text")
    spec = directory / "spec.yaml"
    spec.write_text(
        f'version: 1\nname: x\nsources: {{a: {{path: "{path}", content: {content}{more}}}}}\n'
        "mixture: {by: dataset}\norder: {seed: 3, chunk_size: 64, lanes: 2}\n"
    )
    loaded = mixtera.load(str(spec))
    with closing(mixtera.Catalog.open(str(directory / "catalog"))) as catalog:
        catalog.index(loaded, workers=1)
        plan = mixtera.compile(loaded, catalog)
    batches = plan.stream(batch_size=1 if form else 20)
    return [
        row for batch in batches for row in zip(*(batch[name].to_pylist() for name in ("sample", "text")), strict=True)
    ]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("kind", FILES)
def test_the_stream_is_that_of_local_files(place, tmp_path, storage, kind):
    there, here = place(storage, kind)
    there = _pattern(there)
    assert storage_of(there).name == (storage if storage in ("lustre", "s3") else "fsspec")
    found = _stream(tmp_path / "there", there)
    assert len(found) == (2 if kind == "txt" else 2 * ROWS)
    expected = _stream(tmp_path / "here", here)
    if kind == "arrow":  # files that are not mapped are read by whole record batches, which the order keeps together
        found, expected = sorted(found), sorted(expected)
    assert found == expected
