"""Plans at URLs, on a storage in memory: what is written when, and that a machine copies a plan once."""

import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import fsspec
import pytest

from mixtera.artifact.remote import _one_at_a_time
from mixtera.artifact.urls import cache_directory
from mixtera.errors import PlanError, StorageError
from mixtera.plan import Plan
from tests.artifact.tiny import tiny
from tests.forked import keeps

SERVED = """
import sys
from mixtera.plan import Plan
print(Plan.open(sys.argv[1]).path)
"""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXTERA_CACHE", str(tmp_path / "cache"))
    fsspec.filesystem("memory").store.clear()
    return Plan.of(tiny(), tmp_path)


def test_the_document_is_written_last(plan, monkeypatch):
    from mixtera_backends.storage.fsspec import FsspecStorage

    written = []
    write = FsspecStorage.write
    monkeypatch.setattr(
        FsspecStorage, "write", lambda self, url, data: (written.append(url), write(self, url, data))[1]
    )
    plan.save("memory://plans/a")
    assert written[-1] == "memory://plans/a/plan.json"
    assert not any(url.endswith("plan.json") for url in written[:-1])


def test_what_fails_half_way_leaves_the_older_plan(plan, monkeypatch):
    from mixtera_backends.storage.fsspec import FsspecStorage

    plan.save("memory://plans/a")
    write = FsspecStorage.write

    def failing(self, url, content):
        if "starts" in url:
            raise StorageError("the network is gone")
        write(self, url, content)

    monkeypatch.setattr(FsspecStorage, "write", failing)
    with pytest.raises(StorageError, match="network is gone"):
        plan.save("memory://plans/a")
    assert Plan.open("memory://plans/a").digest == plan.digest


def test_bytes_are_those_of_all_files(plan, tmp_path):
    assert plan.save("memory://plans/a") == plan.save(str(tmp_path / "saved"))
    assert plan.save(f"file://{tmp_path}/with%20space") > 0
    assert Plan.open(str(tmp_path / "with space")).digest == Plan.open(f"file://{tmp_path}/with%20space").digest


def test_a_file_name_that_leads_elsewhere_is_refused(plan):
    plan.save("memory://plans/a")
    files = fsspec.filesystem("memory")
    content = files.cat("memory://plans/a/plan.json")
    head, body = content.split(b'"body":', 1)
    body = body[:-1].replace(b'"files.arrow"', b'"../evil.arrow"')
    files.pipe_file(
        "memory://plans/a/plan.json",
        b'{"mixtera_plan":1,"checksum":' + str(zlib.crc32(body)).encode() + b',"body":' + body + b"}",
    )
    assert head.startswith(b'{"mixtera_plan":')
    with pytest.raises(PlanError, match=r"memory://plans/a is damaged: '\.\./evil\.arrow' cannot be a file of it"):
        Plan.open("memory://plans/a")


def test_processes_that_open_it_at_once_make_one_copy(plan, tmp_path):
    plan.save(str(tmp_path / "served" / "plan"))
    archive = shutil.make_archive(str(tmp_path / "served"), "zip", tmp_path / "served")
    url = f"zip://plan::file://{archive}"
    programs = [
        subprocess.Popen([sys.executable, "-c", SERVED, url], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    found = {program.communicate(timeout=600)[0].strip() for program in programs}
    assert [program.returncode for program in programs] == [0, 0, 0]
    (copy,) = found
    assert [path.name for path in Path(copy).parent.iterdir() if path.is_dir()] == [Path(copy).name]


def test_the_cache_is_where_caches_are(monkeypatch, tmp_path):
    monkeypatch.delenv("MIXTERA_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "mixtera"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache" / "mixtera"


def test_a_file_system_without_locks_is_no_obstacle(plan, monkeypatch):
    import errno
    import fcntl

    def unsupported(handle, kind):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    plan.save("memory://plans/a")
    monkeypatch.setattr(fcntl, "flock", unsupported)
    assert Plan.open("memory://plans/a").digest == plan.digest


def test_a_child_that_is_forked_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    assert not keeps(_one_at_a_time(tmp_path / "lock"), tmp_path / "lock")
