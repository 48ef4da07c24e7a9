"""Plans on a storage, such as S3: uploaded document last, copied once per machine, long arrays as they are needed.

The files of a plan lie below its URL in a folder that is named by what `plan.json` says, and `plan.json` itself beside
that folder. So a plan is replaced by one write, and who has read the old document still finds the old files. A copy of
a plan directory, all files side by side, is a plan too.

A copy on this machine is whole, or its long arrays come in pages (`mixtera.artifact.pages`) from where it was opened:
then there is one for each URL, and it names that.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Final, TypeAlias

from mixtera.artifact import layout
from mixtera.artifact.layout import OpenedPlan
from mixtera.artifact.model import PlanData
from mixtera.artifact.paging import ORIGIN, FarArray, at, is_missing, least_bytes, origin_of
from mixtera.artifact.urls import CACHE_VARIABLE, cache_directory
from mixtera.contracts.storage import Storage, Writing
from mixtera.errors import PlanError, StorageError
from mixtera.registry import storage_of

Download: TypeAlias = Callable[[str, Path], None]
"""Writes the file of a name to a path."""
_PIECE_BYTES: Final = 8 << 20
_TRANSFERS: Final = 4
_NO_LOCKS: Final = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL)


def write(url: str, data: PlanData, digest: str) -> int:
    """Write a plan: its document last, so that nobody ever finds half of it.

    Returns:
        Bytes written.

    Raises:
        PlanError: Something that is not a plan lies there.
        StorageError: It cannot be written, or the storage cannot write.
    """
    storage = storage_of(url)
    if not isinstance(storage, Writing):
        raise StorageError(f"a plan cannot be written to {url}: the storage {storage.name} only reads")
    if (before := _document(storage, url)) is not None and not layout.is_document(before):
        raise PlanError(f"{at(url, layout.DOCUMENT)} is not that of a plan: save to another place")
    with TemporaryDirectory(prefix="mixtera-plan-") as directory:
        here = Path(directory) / "plan"
        layout.write(str(here), data, digest, durable=False)
        document = (here / layout.DOCUMENT).read_bytes()
        files = [here / name for name in layout.names_of(here)]
        with ThreadPoolExecutor(_TRANSFERS) as threads:
            list(threads.map(lambda file: storage.write(at(url, key_of(document), file.name), file), files))
        size = len(document) + sum(file.stat().st_size for file in files)
    storage.write(at(url, layout.DOCUMENT), document)
    return size


def open(url: str, remap: Mapping[str, str] | None = None) -> tuple[OpenedPlan, Path]:
    """Open a plan of another place, and the local directory that it was copied to.

    All processes of a machine share one copy, which the first of them makes. Long arrays are holes in it, which
    readers fill.

    Raises:
        PlanError: It is not a plan, is damaged, or is of a newer version.
        StorageError: It cannot be read, or there is no room for the copy.
    """
    storage = storage_of(url)
    document = _document(storage, url)
    if document is None or not layout.is_document(document):
        what = "does not exist" if document is None else f"is not a plan: its {layout.DOCUMENT} is another one"
        raise PlanError(f"{url} {what}; `mixtera compile SPEC -o {url}` makes one")
    key = key_of(document)

    def download(_: str, target: Path) -> None:
        _download(storage, url, key, target)

    holes = _holes(url, document) if copy_of(key) is None else {}
    directory = _made(_paged(url, key), url, document, download, holes) if holes else copied(url, document, download)
    try:
        return open_here(directory, remap), directory
    except PlanError as error:
        raise PlanError(str(error).replace(str(directory), f"{url} (its copy is {directory})")) from error


def open_here(directory: Path, remap: Mapping[str, str] | None = None) -> OpenedPlan:
    """Open a plan in a directory, which may be a copy whose pages come from its URL.

    Raises:
        PlanError: It is not a plan, is damaged, or is of a newer version.
        StorageError: It cannot be read.
    """
    origin = origin_of(directory)
    if origin is None:
        return layout.open(str(directory), remap)
    key = key_of((directory / layout.DOCUMENT).read_bytes())
    return layout.open(str(directory), remap, lambda name, size: FarArray(origin, key, name, size))


def _holes(url: str, document: bytes) -> dict[str, int]:
    """Arrays that come in pages, and their bytes."""
    contents, least = layout.contents_of(document, url), least_bytes()
    return {name: contents.sizes[name] for name in contents.paged if contents.sizes[name] > least}


def _paged(url: str, key: str) -> Path:
    """Where the copy without all pages of a plan at a URL lies."""
    return cache_directory() / "plans" / f"{key}-{hashlib.sha256(url.rstrip('/').encode()).hexdigest()[:8]}"


def _document(storage: Storage, url: str) -> bytes | None:
    """The document of a plan; None where there is none."""
    try:
        with storage.open(at(url, layout.DOCUMENT)) as file:
            return file.read()
    except StorageError as error:
        if is_missing(error):
            return None
        raise


def key_of(document: bytes) -> str:
    """What names the folder and the copy of a plan: its document holds checksums of all its files."""
    return hashlib.sha256(document).hexdigest()[:32]


def copy_of(key: str) -> Path | None:
    """The whole copy of a plan on this machine; None where there is none."""
    target = cache_directory() / "plans" / key
    return target if (target / layout.DOCUMENT).exists() else None


def copied(url: str, document: bytes, download: Download) -> Path:
    """The whole copy of a plan on this machine, made if there is none.

    Args:
        url: Where the plan lies, for messages.
        document: Its document.
        download: Writes the file of a name to a path; called from several threads.

    Raises:
        PlanError: The plan is damaged.
        StorageError: There is no room for the copy, or what `download` raises.
    """
    return _made(cache_directory() / "plans" / key_of(document), url, document, download, {})


def _made(target: Path, url: str, document: bytes, download: Download, holes: Mapping[str, int]) -> Path:
    if (target / layout.DOCUMENT).exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(target.with_suffix(".lock")):
            if not (target / layout.DOCUMENT).exists():
                _copy(url, document, target, download, holes)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"the plan {url} cannot be copied to {target.parent}: {error.strerror or error}; make room there, or set "
            f"{CACHE_VARIABLE} to another directory"
        ) from error
    return target


def _copy(url: str, document: bytes, target: Path, download: Download, holes: Mapping[str, int]) -> None:
    fresh = Path(mkdtemp(prefix=f"{target.name}.", suffix=".partial", dir=target.parent))
    try:
        (fresh / layout.DOCUMENT).write_bytes(document)
        names = [name for name in layout.contents_of(document, url).sizes if name not in holes]
        with ThreadPoolExecutor(_TRANSFERS) as threads:
            list(threads.map(lambda name: download(name, fresh / name), names))
        for name, size in holes.items():
            with (fresh / name).open("wb") as hole:
                hole.truncate(size)
        if holes:
            (fresh / ORIGIN).write_text(url)
        try:
            fresh.rename(target)
        except OSError:
            if not (target / layout.DOCUMENT).exists():
                raise  # where locks do nothing, another process may have been as fast
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _download(storage: Storage, url: str, key: str, target: Path) -> None:
    try:
        source = storage.open(at(url, key, target.name))
    except StorageError as error:
        if not is_missing(error):
            raise
        try:
            source = storage.open(at(url, target.name))
        except StorageError as other:
            if not is_missing(other):
                raise
            raise PlanError(f"the plan {url} is damaged: {target.name} is missing; compile the spec again") from other
    with source, target.open("wb") as copy:
        while piece := source.read(_PIECE_BYTES):
            copy.write(piece)


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Hold a lock that ends with its process; where the file system has none, copies are made side by side."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        with suppress(OSError):  # where there are none
            fcntl.flock(handle, fcntl.LOCK_UN)  # a child that was forked meanwhile has the lock, too
        os.close(handle)
