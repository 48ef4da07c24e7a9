"""The text of a lock: read back as it was, a file a line; what is not a lock is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from mixtera import Lock, LockError, MixteraError, PlanError, StorageError
from mixtera.lockfile.model import LockBody
from mixtera.lockfile.text import decode, encode
from tests.lockfile.made import BODY, FILE, bodies, with_files


@given(bodies)
def test_a_lock_reads_back_as_it_was(body: LockBody) -> None:
    text = encode(body)
    assert decode(text, "x.lock") == body
    assert encode(decode(text, "x.lock")) == text


def test_every_file_component_and_spec_line_has_a_line_of_its_own() -> None:
    files = tuple(replace(FILE, name=f"part-{i}.jsonl") for i in range(50))
    text = encode(with_files(*files)).decode()
    assert sum('"part-' in line for line in text.splitlines()) == 50
    assert json.loads(text)["mixtera_lock"] == 1
    fewer = encode(with_files(*files[:20], *files[21:])).decode()
    assert set(text.splitlines()) - set(fewer.splitlines()) == {
        '    {"etag": null, "modified": "2026-01-02T03:04:05.000000006Z", "name": "part-20.jsonl", "rows": 10, '
        '"size": 100},'
    }


@pytest.mark.parametrize("at", [None, "body"])
def test_keys_are_sorted(at: str | None) -> None:
    keys = list(json.loads(encode(BODY)))
    assert keys[0] == "mixtera_lock"
    assert keys[1:] == sorted(keys[1:])


BAD = {
    "empty": b"",
    "a spec": b"version: 1\nsources: {}\n",
    "other json": b'{"version": 1}',
    "a plan": b'{"mixtera_plan":1}',
    "binary": b"PAR1\x00\x15\xff",
    "html": b"<!DOCTYPE html>",
}


@pytest.mark.parametrize("content", BAD.values(), ids=list(BAD))
def test_what_is_not_a_lock_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_bytes(content)
    with pytest.raises(LockError, match=r"x\.lock is not a lock; `mixtera lock SPEC` writes one"):
        Lock.open(str(path))


DAMAGED = {
    "cut": encode(BODY)[:300],
    "merge conflict": encode(BODY).replace(b' "name": "made",', b'<<<<<<< HEAD\n "name": "made",'),
    "wrong type": encode(BODY).replace(b'"rows": 10', b'"rows": "ten"'),
    "no rows": encode(BODY).replace(b'"rows": 10, ', b""),
    "not a number of a version": encode(BODY).replace(b'"mixtera_lock": 1', b'"mixtera_lock": "1"'),
    "not UTF-8": encode(BODY).replace(b"a.jsonl", b"\xff.jsonl"),
    "more after the end": encode(BODY) + b"}",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=list(DAMAGED))
def test_a_damaged_lock_is_refused_with_its_reason_and_remedy(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_bytes(content)
    with pytest.raises(LockError, match=r"the lock .*x\.lock is damaged: .+; take it from version control") as raised:
        Lock.open(str(path))
    assert isinstance(raised.value, PlanError)
    assert raised.value.difference == {}
    assert raised.value.exit_code == 1


def test_a_newer_lock_is_refused_whatever_else_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_bytes(b'{\n "mixtera_lock": 2,\n "unheard": []\n}\n')
    with pytest.raises(LockError, match=r"newer Mixtera \(lock version 2, this one reads up to 1\): upgrade"):
        Lock.open(str(path))


def test_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "no.lock", tmp_path / "file" / "no.lock"):
        with pytest.raises(LockError, match="there is no lock"):
            Lock.open(str(path))
    with pytest.raises(StorageError, match="cannot be read"):
        Lock.open(str(tmp_path))


def test_saving_replaces_a_lock_whole_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    Lock(BODY).save(str(path))
    assert Lock.open(str(path)) == Lock(BODY)
    path.chmod(0o640)
    other = Lock(with_files())
    other.save(str(path))
    assert Lock.open(str(path)) == other
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.lock"]
    path.write_bytes(DAMAGED["merge conflict"])
    other.save(str(path))
    spec = tmp_path / "spec.yaml"
    spec.write_text("version: 1\n")
    with pytest.raises(LockError, match=r"spec\.yaml holds something that is not a lock"):
        other.save(str(spec))
    assert spec.read_text() == "version: 1\n"


def test_saving_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    failures: list[tuple[str, type[MixteraError], str]] = [
        (str(tmp_path / "no" / "x.lock"), StorageError, "cannot be written"),
        (str(tmp_path / "file" / "x.lock"), StorageError, "cannot be written"),
        ("/proc/x.lock", StorageError, "cannot be written to /proc/x.lock"),
        (str(tmp_path), LockError, "is a directory"),
        ("zip://x.lock::file:///nowhere.zip", StorageError, r"zip://x\.lock"),
    ]
    for path, kind, message in failures:
        with pytest.raises(kind, match=message):
            Lock(BODY).save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_link_is_followed_and_kept(tmp_path: Path) -> None:
    (tmp_path / "link.lock").symlink_to("real.lock")
    (tmp_path / "real.lock").write_bytes(encode(BODY))
    Lock(with_files()).save(str(tmp_path / "link.lock"))
    assert (tmp_path / "link.lock").is_symlink()
    assert Lock.open(str(tmp_path / "real.lock")) == Lock(with_files())


def test_file_urls_are_read(tmp_path: Path) -> None:
    Lock(BODY).save(str(tmp_path / "a b.lock"))
    assert Lock.open(f"file://{tmp_path}/a%20b.lock") == Lock(BODY)
