"""Indexing what is broken, huge, empty or oddly named: a clear word, the right exit code, nothing half-committed."""

from __future__ import annotations

import bz2
import ctypes
import gzip
import json
import lzma
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
import zstandard

from tests import commands

GIGABYTE = 1_000_000_000
MEBIBYTE = 1 << 20
_DROP_FROM_BOUNDING_SET = 24
_OVERRIDE, _READ_SEARCH = 1, 2

SPEC = """\
version: 1
sources:
  web: {{path: "data/{pattern}", format: {kind}, content: text, on_bad_sample: {policy}}}
mixture: {{by: dataset}}
"""


class Place:
    """A directory with a spec and data, and the commands there, as processes of their own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path / "data"
        self.data.mkdir()

    def spec(self, kind: str = "jsonl", pattern: str = "*", policy: str = "fail") -> None:
        (self.path / "spec.yaml").write_text(SPEC.format(kind=kind, pattern=pattern, policy=policy))

    def run(
        self, *words: str, code: int = 0, measured: bool = False, before: Callable[[], None] | None = None
    ) -> tuple[str, str, float]:
        """Run a command: what it says, what it complains, and its peak memory in bytes, endless where not measured."""
        if not measured and before is None:
            done = commands.run(words, self.path)
            assert done.returncode == code, done.stdout + done.stderr
            assert "Traceback" not in done.stderr
            return done.stdout, done.stderr, math.inf
        program = "import sys; from mixtera.cli.main import main; code = main(sys.argv[1:]); " + _PEAK
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=self.path,
            capture_output=True,
            text=True,
            preexec_fn=before,
            check=False,
        )
        out, _, peak = done.stdout.rpartition("peak ")
        assert done.returncode == code, out + done.stderr
        assert "Traceback" not in done.stderr
        return out, done.stderr, int(peak)

    def index(self, *words: str, code: int = 0, **more: Any) -> tuple[str, str, float]:
        return self.run("index", "spec.yaml", "--catalog", "catalog", *words, code=code, **more)

    def report(self) -> dict[str, int]:
        out, _, _ = self.index("--json")
        return json.loads(out)["sources"][0]

    def samples(self) -> int:
        """Samples that the catalog has of the source; −1 where it was never committed."""
        out, _, _ = self.run("catalog", "ls", "--json", "--catalog", "catalog")
        found = [source["samples"] for source in json.loads(out)]
        return found[0] if found else -1


_PEAK = (
    "sys.stdout.flush(); "
    "peak = [line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1]; "
    "print('peak', int(peak) * 1024); sys.exit(code)"
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def lines(count: int) -> str:
    return "".join(json.dumps({"text": f"sample {number}"}) + "\n" for number in range(count))


@pytest.mark.parametrize(("kind", "samples"), [("jsonl", 5), ("csv", 5), ("text", 2)])
def test_files_without_a_byte_where_they_are_allowed(kind: str, samples: int, place: Place) -> None:
    good = {"jsonl": lines(5), "csv": "text\n" + "a\n" * 5, "text": "a"}[kind]
    (place.data / "a").write_text(good)
    (place.data / "b").write_text("")
    place.spec(kind)
    place.index()
    assert place.samples() == samples


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_files_without_a_byte_where_there_is_no_such_file(kind: str, place: Place) -> None:
    table = pa.table({"text": ["a"]})
    if kind == "parquet":
        pq.write_table(table, place.data / "a")
    else:
        feather.write_feather(table, str(place.data / "a"))
    place.spec(kind)
    place.index()
    (place.data / "b").write_bytes(b"")
    _, err, _ = place.index(code=1)
    assert "data/b" in err
    assert place.samples() == 1


def test_a_million_empty_lines(place: Place) -> None:
    (place.data / "a").write_text("\n" * 1_000_000 + lines(1) + "\r\n" * 1000)
    place.spec()
    _, _, peak = place.index(measured=True)
    assert place.samples() == 1
    assert peak < 250 * MEBIBYTE
    out, _, _ = place.run("catalog", "show", "web", "--json", "--catalog", "catalog")
    assert json.loads(out)["files"][0]["rows"] == 1_001_001


def one_gigabyte(path: Path, before: bytes, after: bytes) -> None:
    """A file with a hole of a gigabyte, which reads as zeros and takes no room."""
    with path.open("wb") as file:
        file.write(before)
        file.truncate(len(before) + GIGABYTE)
        file.seek(0, os.SEEK_END)
        file.write(after)


@pytest.mark.slow
def test_a_line_of_a_gigabyte_is_one_bad_record_and_does_not_fill_the_memory(place: Place) -> None:
    before = lines(3).encode()
    one_gigabyte(place.data / "a", before + b'{"text": "', b'"}\n' + lines(2).encode())
    place.spec()
    _, err, _ = place.index(code=1)
    assert 'a:4: the line is longer than 256 MiB: write the document as several records: \'{"text": "' in err
    assert place.samples() == -1
    place.spec(policy="quarantine")
    _, err, peak = place.index(measured=True)
    assert "1 record cannot be used and was left out" in err
    assert place.samples() == 5
    assert peak < 900 * MEBIBYTE, f"{peak / MEBIBYTE:.0f} MiB"
    out, _, _ = place.run("catalog", "show", "web", "--quarantine", "--json", "--catalog", "catalog")
    (bad,) = json.loads(out)
    assert (bad["row"], bad["offset"]) == (3, len(before))
    out, _, _ = place.run("index", "spec.yaml", "--verify", "--catalog", "catalog")
    assert "5 samples" in out


@pytest.mark.slow
def test_a_line_of_a_gigabyte_that_is_the_last_or_has_no_end(place: Place) -> None:
    one_gigabyte(place.data / "a", lines(1).encode(), b"")
    place.spec(policy="skip")
    place.index()
    assert place.samples() == 1


@pytest.mark.slow
def test_a_record_of_csv_of_a_gigabyte_is_refused_before_it_fills_the_memory(place: Place) -> None:
    one_gigabyte(place.data / "a", b'text\na\n"', b'"\n')
    place.spec("csv", policy="skip")
    _, err, peak = place.index(code=1, measured=True)
    assert "a record does not end within 256 MiB" in err
    assert peak < 4096 * MEBIBYTE, f"{peak / MEBIBYTE:.0f} MiB"
    assert place.samples() == -1


@pytest.mark.slow
def test_a_record_of_two_hundred_megabytes_is_a_record(place: Place) -> None:
    with (place.data / "a").open("wb") as file:
        file.write(b'{"text": "')
        for _ in range(200):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n' + lines(1).encode())
    place.spec()
    _, _, peak = place.index(measured=True)
    assert place.samples() == 2
    assert peak < 1500 * MEBIBYTE, f"{peak / MEBIBYTE:.0f} MiB"


NAMES = (
    "grün.jsonl",
    "中文 と 日本.jsonl",
    "two\nlines.jsonl",
    "a'b\"c.jsonl",
    "100%25.jsonl",
    "[x]{y}*?.jsonl",
    " .jsonl",
    "\t.jsonl",
)


def test_odd_names_go_the_whole_way(place: Place) -> None:
    for number, name in enumerate(NAMES):
        (place.data / name).write_text(json.dumps({"text": f"of {number}"}) + "\n")
    place.spec(pattern="*.jsonl")
    assert place.report()["new"] == len(NAMES)
    assert place.report()["unchanged"] == len(NAMES)
    place.index("--verify")
    place.run("compile", "spec.yaml", "--catalog", "catalog", "-o", "plan")
    out, _, _ = place.run("stream", "plan", "--format", "jsonl")
    assert {json.loads(line)["text"] for line in out.splitlines()} == {f"of {n}" for n in range(len(NAMES))}


def test_a_name_that_is_no_text_is_refused_with_a_word(place: Place) -> None:
    (place.data / "a.jsonl").write_text(lines(1))
    place.spec(pattern="*.jsonl")
    place.index()
    Path(os.fsdecode(bytes(place.data) + b"/caf\xe9.jsonl")).write_text(lines(1))
    _, err, _ = place.index(code=1)
    assert "caf\\udce9.jsonl" in err
    assert "not valid UTF-8" in err
    assert place.samples() == 1


def without_privileges() -> None:
    """Let the program about to run have no right to read what its owner may not, even as root."""
    library = ctypes.CDLL(None)
    for capability in (_OVERRIDE, _READ_SEARCH):
        library.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)


def test_permission_denied(place: Place) -> None:
    (place.data / "a.jsonl").write_text(lines(3))
    place.spec(pattern="*.jsonl")
    place.index(before=without_privileges)
    secret = place.data / "b.jsonl"
    secret.write_text(lines(2))
    secret.chmod(0)
    _, err, _ = place.index(code=3, before=without_privileges)
    assert "b.jsonl cannot be read: Permission denied" in err
    assert place.samples() == 3
    secret.chmod(0o644)
    place.index(before=without_privileges)
    assert place.samples() == 5


@pytest.mark.parametrize("pattern", ["*/*.jsonl", "**/*.jsonl", "{folder}/*.jsonl"])
def test_a_directory_that_cannot_be_listed_is_not_passed_over(pattern: str, place: Place) -> None:
    for name in ("one", "two"):
        (place.data / name).mkdir()
        (place.data / name / "a.jsonl").write_text(lines(2))
    place.spec(pattern=pattern)
    place.index(before=without_privileges)
    assert place.samples() == 4
    (place.data / "two").chmod(0)
    try:
        _, err, _ = place.index(code=3, before=without_privileges)
    finally:
        (place.data / "two").chmod(0o755)
    assert "data/two cannot be listed: Permission denied" in err
    assert place.samples() == 4


@pytest.mark.parametrize("pattern", ["two/*.jsonl", "two/a.jsonl"])
def test_a_directory_that_may_be_listed_and_not_entered(pattern: str, place: Place) -> None:
    (place.data / "two").mkdir()
    (place.data / "two" / "a.jsonl").write_text(lines(2))
    place.spec(pattern=pattern)
    (place.data / "two").chmod(0o600)
    try:
        _, err, _ = place.index(code=3, before=without_privileges)
    finally:
        (place.data / "two").chmod(0o755)
    assert "data/two/a.jsonl cannot be read: Permission denied" in err


PACKED = {
    "gz": gzip.compress,
    "zst": zstandard.ZstdCompressor().compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("policy", ["fail", "skip", "quarantine"])
@pytest.mark.parametrize("packed", PACKED)
def test_compressed_files_that_are_cut_short(packed: str, policy: str, place: Place) -> None:
    (place.data / f"a.jsonl.{packed}").write_bytes(PACKED[packed](lines(100).encode()))
    place.spec(policy=policy)
    place.index()
    whole = PACKED[packed](lines(4000).encode())
    (place.data / f"b.jsonl.{packed}").write_bytes(whole[: len(whole) * 2 // 3])
    _, err, _ = place.index(code=1)
    assert f"b.jsonl.{packed}: the compressed data are cut short or broken" in err
    assert place.samples() == 100
    (place.data / f"b.jsonl.{packed}").write_bytes(whole)
    place.index()
    assert place.samples() == 4100


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_files_of_columns_that_are_cut_short(kind: str, place: Place) -> None:
    table = pa.table({"text": [f"sample {number}" for number in range(1000)]})

    def write(path: Path) -> None:
        if kind == "parquet":
            pq.write_table(table, path)
        else:
            feather.write_feather(table, str(path))

    write(place.data / "a")
    place.spec(kind, policy="skip")
    place.index()
    write(place.data / "b")
    whole = (place.data / "b").read_bytes()
    for part in (1, len(whole) // 2, len(whole) - 1):
        (place.data / "b").write_bytes(whole[:part])
        _, err, _ = place.index(code=1)
        assert "data/b" in err
    assert place.samples() == 1000
    (place.data / "b").write_bytes(whole)
    place.index()
    assert place.samples() == 2000


def test_all_files_vanish(place: Place) -> None:
    (place.data / "a.jsonl").write_text(lines(10))
    place.spec()
    place.index()
    shutil.rmtree(place.data)
    _, err, _ = place.index(code=3)
    assert "the directory" in err
    assert "does not exist" in err
    assert place.samples() == 10
