"""Every format on every storage: the stream of a plan is the one over local files."""

import bz2
import gzip
import io
import json
import lzma
import shutil
import tarfile
from contextlib import closing
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
import zstandard

import mixtera
from mixtera import registry
from mixtera.registry import format_named, storage_of
from mixtera_backends.storage.lustre import mounts
from tests.formats.token_files import as_documents, write_megatron
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


def _arrow_stream() -> bytes:
    """A shard of a directory that Hugging Face's `save_to_disk` has written."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=64)
    return sink.getvalue()


def _csv(delimiter: str = ",") -> bytes:
    sink = io.BytesIO()
    pc.write_csv(TABLE, sink, pc.WriteOptions(delimiter=delimiter))
    return sink.getvalue()


def _frames() -> bytes:
    """Zstandard in frames of 50 lines, each of which is read alone."""
    lines = LINES.splitlines(keepends=True)
    return b"".join(zstandard.compress(b"".join(lines[at : at + 50])) for at in range(0, ROWS, 50))


def _tar() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for row in TABLE.to_pylist():
            for suffix, content in (("txt", row["text"].encode()), ("json", json.dumps(row).encode())):
                member = tarfile.TarInfo(f"sample-{row['number']:04d}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return sink.getvalue()


def _tokens(directory: Path, form: str) -> dict[str, bytes]:
    """The files of one of the formats of tokens, by what their names end with."""
    documents = [list(range(number, number + 1 + number % 40)) for number in range(ROWS)]
    if form == "megatron":
        write_megatron(directory / "a.bin", documents, as_documents(documents))
        return {".bin": (directory / "a.bin").read_bytes(), ".idx": (directory / "a.idx").read_bytes()}
    tokens = np.array([token for document in documents for token in document], "<u2")
    ends = np.cumsum([len(document) for document in documents]).astype("<u8")
    return {".ds": tokens.tobytes(), ".ds.index": ends.tobytes()}


FILES = {
    "jsonl": LINES,
    "jsonl.gz": gzip.compress(LINES),
    "jsonl.bz2": bz2.compress(LINES),
    "jsonl.xz": lzma.compress(LINES),
    "jsonl.lz4": bytes(pa.Codec("lz4").compress(LINES)),
    "jsonl.zst": zstandard.compress(LINES),
    "frames.jsonl.zst": _frames(),
    "parquet": _parquet(),
    "arrow": _arrow(),
    "stream.arrow": _arrow_stream(),
    "csv": _csv(),
    "tsv": _csv("\t"),
    "tar": _tar(),
    "txt": "a page é\n".encode() * 50,
}
TOKENS = {"bin": "megatron", "ds": "tokens"}
KINDS = (*FILES, *TOKENS)
MORE = {
    "txt": "content: text, format: text",
    "tar": "content: {text: txt}",
    **dict.fromkeys(TOKENS, "content: {text: tokens}"),
}
STORAGES = ("lustre", "s3", "http", "memory", "zip", "zip over http")


def _write(data: Path, kind: str) -> None:
    """Two files of a kind, one of them deeper."""
    for name in ("a", "deep/b"):
        path = data / f"{name}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        files = _tokens(data.parent, TOKENS[kind]) if kind in TOKENS else {f".{kind}": FILES[kind]}
        for suffix, content in files.items():
            (path.parent / f"{path.name.removesuffix(f'.{kind}')}{suffix}").write_bytes(content)


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The stream of two files of a kind that lie here, which is made once."""
    streams: dict[str, list[tuple[str, ...]]] = {}

    def stream(kind: str) -> list[tuple[str, ...]]:
        if kind not in streams:
            place = tmp_path_factory.mktemp("local")
            _write(place / "data", kind)
            streams[kind] = _stream(place / "here", f"{place}/data/**/*.{kind}", kind)
        return streams[kind]

    return stream


@pytest.fixture
def place(request, tmp_path, monkeypatch):
    """Puts two files of a kind where a storage has them; the pattern of both."""

    def put(storage: str, kind: str) -> str:
        _write(tmp_path / "data", kind)
        return _pattern(_placed(storage, tmp_path, request, monkeypatch) + f"/**/*.{kind}")

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


def _stream(directory: Path, path: str, kind: str) -> list[tuple[str, ...]]:
    directory.mkdir()
    spec = directory / "spec.yaml"
    spec.write_text(
        f'version: 1\nname: x\nsources: {{a: {{path: "{path}", {MORE.get(kind, "content: text")}}}}}\n'
        "mixture: {by: dataset}\norder: {seed: 3, chunk_size: 64, lanes: 2}\n"
    )
    loaded = mixtera.load(str(spec))
    with closing(mixtera.Catalog.open(str(directory / "catalog"))) as catalog:
        catalog.index(loaded, workers=1)
        plan = mixtera.compile(loaded, catalog)
    batches = plan.stream(batch_size=1 if kind == "txt" else 20)
    return [
        row for batch in batches for row in zip(*(batch[name].to_pylist() for name in ("sample", "text")), strict=True)
    ]


def test_none_of_the_formats_is_missing():
    kept = {name: [*format_named(name).suffixes] for name in registry.names("format")}
    missing = [
        name for name, suffixes in kept.items() if not any(f".{kind}".endswith(tuple(suffixes)) for kind in KINDS)
    ]
    assert not missing


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_stream_is_that_of_local_files(place, local, tmp_path, storage, kind):
    there = place(storage, kind)
    assert storage_of(there).name == (storage if storage in ("lustre", "s3") else "fsspec")
    found = _stream(tmp_path / "there", there, kind)
    assert len(found) == (2 if kind == "txt" else 2 * ROWS)
    expected = local(kind)
    if kind.endswith("arrow"):  # files that are not mapped are read by whole batches, which the order keeps together
        found, expected = sorted(found), sorted(expected)
    assert found == expected
