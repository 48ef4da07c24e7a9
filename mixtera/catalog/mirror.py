"""Local copies of the files of a catalog at a URL.

No file of a catalog is ever changed, and none has the name of another: a copy that is there is right. What a run
writes, it writes here, and a commit uploads it before others can see it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from mixtera.artifact.urls import CACHE_VARIABLE
from mixtera.catalog.durable import flush
from mixtera.contracts.storage import Creating, FileInfo
from mixtera.errors import MissingError, StorageError

_TRANSFERS: Final = 8
_PIECE_BYTES: Final = 8 << 20


class Mirror:
    """The directory in which this machine keeps copies of a catalog's files, below the same names."""

    def __init__(self, url: str, root: Path, storage: Creating) -> None:
        """Mirror the catalog at `url` in the directory `root`."""
        self.url, self.root, self.storage = url, root, storage
        self._superseded: list[Path] = []

    def have(self, paths: Iterable[Path]) -> None:
        """Copy files that are not here yet.

        Raises:
            StorageError: One cannot be read, or the disk is full.
        """
        missing = [path for path in dict.fromkeys(paths) if path.is_relative_to(self.root) and not path.exists()]
        if missing:
            with _cached(self.root):
                _each(self._download, missing)

    def upload(self, paths: Iterable[Path]) -> None:
        """Upload files that the URL does not have yet.

        Raises:
            StorageError: One cannot be written.
        """
        wanted = dict.fromkeys(paths)
        folders = {"/".join(path.relative_to(self.root).parts[:2]) for path in wanted}
        there = {url for folder in folders for url in self._below(folder)}
        _each(self._upload, [path for path in wanted if self.url_of(path) not in there])

    def supersede(self, path: Path) -> None:
        """Note that a file is of no use once what is going on is committed."""
        self._superseded.append(path)

    def settle(self, committed: bool) -> None:
        """Delete the files noted since the last call, if what went on was committed."""
        paths, self._superseded = self._superseded, []
        if committed and paths:
            for path in paths:
                path.unlink(missing_ok=True)
            with suppress(StorageError):  # it costs space, and nothing else
                self.storage.delete([self.url_of(path) for path in paths])

    def delete_below(self, directory: Path) -> None:
        """Delete all files of a directory at the URL.

        Raises:
            StorageError: They cannot be deleted.
        """
        if urls := self._below(directory.relative_to(self.root).as_posix()):
            self.storage.delete(urls)

    def listed(self, folder: str) -> list[FileInfo]:
        """The objects below a folder of the catalog.

        Raises:
            StorageError: They cannot be listed.
        """
        try:
            return self.storage.expand([f"{self.url}/{folder}/**"])
        except MissingError:
            return []

    def url_of(self, path: Path) -> str:
        """Where the file of a path lies at the URL."""
        return f"{self.url}/{path.relative_to(self.root).as_posix()}"

    def path(self, url: str) -> Path:
        """The opposite of `url_of`."""
        return self.root / url.removeprefix(f"{self.url}/")

    def now_ns(self) -> int:
        """The time by the clock of the storage, in nanoseconds since 1970: that of an object that is written for it.

        Raises:
            StorageError: It cannot be written.
        """
        url = f"{self.url}/warehouse/clock-{secrets.token_hex(8)}"
        self.storage.write(url, b"")
        try:
            return self.storage.stat(url).modified_ns
        finally:
            self.storage.delete([url])

    def _below(self, folder: str) -> list[str]:
        return [file.url for file in self.listed(folder)]

    def _upload(self, path: Path) -> None:
        self.storage.write(self.url_of(path), path)

    def _download(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        try:
            with self.storage.open(self.url_of(path)) as source, part.open("wb") as copy:
                while piece := source.read(_PIECE_BYTES):
                    copy.write(piece)
            flush(part)
            part.rename(path)
        except MissingError as error:
            raise StorageError(
                f"{self.url_of(path)} is gone: its source was dropped or indexed again, or the catalog was pruned, "
                "since this command has opened the catalog: run it again"
            ) from error
        finally:
            part.unlink(missing_ok=True)


def _each(call: Callable[[Path], None], paths: Collection[Path]) -> None:
    if len(paths) < 2:
        for path in paths:
            call(path)
        return
    with ThreadPoolExecutor(_TRANSFERS) as threads:
        list(threads.map(call, paths))


@contextmanager
def _cached(root: Path) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"the catalog cannot be copied to {root}: {error.strerror or error}; make room there, or set "
            f"{CACHE_VARIABLE} to another directory"
        ) from error
