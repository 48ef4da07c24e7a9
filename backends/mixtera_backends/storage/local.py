"""Files of this machine: local disks and what is mounted like one."""

from __future__ import annotations

import difflib
import errno
import glob
import io
import os
import stat as modes
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NoReturn, cast
from urllib.parse import unquote

from mixtera.contracts.storage import AccessProfile, FileInfo
from mixtera.errors import MissingError, StorageError
from mixtera.formats.ranges import GAP_BYTES, RangedFile, ReadCount
from mixtera_backends.storage.walk import Entry, Walk

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PREFIX: Final = "file://"
_NOT_THERE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""What the system says of something that is not there any more, is no directory, or is a link in a circle."""


class LocalStorage:
    """Paths and `file://` URLs. A URL it returns is an absolute path."""

    name = "local"
    schemes: tuple[str, ...] = ("file",)

    def __init__(self) -> None:
        self.traffic = ReadCount()

    def profile(self) -> AccessProfile:
        """Ranges are read through the page cache: small ones are fine, one at a time."""
        return AccessProfile(request_bytes=1 << 20, gap_bytes=GAP_BYTES, concurrency=1, stat_is_cheap=True)

    def expand(self, patterns: Sequence[str]) -> list[FileInfo]:
        """List the files of some patterns, each once, sorted by (name, url); `**` stands for any depth.

        Each directory is listed once, and each file that matches is described once. As `glob.glob(…, recursive=True)`
        finds them, with two differences: that passes over a directory it cannot list, and data would be missing without
        a word; and it follows a link back to a directory that it is in again and again, and data would be there often.
        """
        walk = Walk(list_directory, look_up)
        found: dict[str, FileInfo] = {}
        for pattern in patterns:
            for file in _matching(walk, pattern):
                found.setdefault(file.url, file)
        return sorted(found.values(), key=lambda file: (file.name, file.url))

    def stat(self, url: str) -> FileInfo:
        """Describe one file."""
        path = local_path(url)
        return _info(path, path.rsplit("/", 1)[-1])

    def open(self, url: str) -> BinaryIO:
        """Open a file, unbuffered: callers read in large pieces. No metadata is asked for unless it fails."""
        path = local_path(url)
        try:
            file = CountedFile(path, self.traffic)
        except OSError as error:
            self.stat(url)
            refuse(path, error)
        if not modes.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise irregular(path)
        return cast(BinaryIO, file)

    def describe(self, descriptor: int, url: str) -> FileInfo:
        """Describe an open file by its descriptor."""
        path = local_path(url)
        facts = os.fstat(descriptor)
        if not facts.st_nlink:
            raise StorageError(f"{path} was replaced or deleted while it was read; run the command again")
        return _described(path, path.rsplit("/", 1)[-1], facts)

    def random_access(self, url: str) -> RangedFile:
        """Open a file for reading in ranges."""
        return RangedFile(self.open(url), local_path(url), count=self.traffic)


class CountedFile(io.FileIO):
    """A file whose reads are counted; what is read through its descriptor is not."""

    def __init__(self, path: str, count: ReadCount) -> None:
        self._count = count
        super().__init__(path, "rb", opener=at_once)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to so many bytes, or all."""
        return self._counted(super().read(-1 if size is None else size))

    def readall(self) -> bytes:
        """Read what is left."""
        return self._counted(super().readall())

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into memory."""
        read = super().readinto(buffer) or 0
        self._count.requests += 1
        self._count.read_bytes += read
        return read

    def _counted(self, data: bytes | None) -> bytes:
        self._count.requests += 1
        self._count.read_bytes += len(data or b"")
        return data or b""


def local_path(url: str) -> str:
    """The absolute path of a path or `file://` URL; `~` is the home directory."""
    path = url
    if url.startswith(_PREFIX):
        path = unquote(url.removeprefix(_PREFIX).removeprefix("localhost"))
    return os.path.abspath(Path(path).expanduser()) if path.startswith("~") else os.path.abspath(path)  # noqa: PTH100


def _matching(walk: Walk[os.stat_result | None], pattern: str) -> list[FileInfo]:
    path = local_path(pattern)
    if not glob.has_magic(path) or os.path.isfile(path):  # noqa: PTH113 - Path refuses directories that may not be entered
        return [_info(path, path.rsplit("/", 1)[-1])]
    base = fixed_part(path)
    matches = dict(walk.matching(base, path[len(base) :].split("/")))
    known = {name: entry.facts or _facts(base + name) for name, entry in matches.items() if not entry.is_directory}
    files = [_described(base + name, name, facts) for name, facts in known.items() if _is_file(facts)]
    if not files:
        _refuse_empty(pattern, base, [base + name for name in sorted(matches)])
    return files


def list_directory(directory: str) -> list[Entry[os.stat_result | None]]:
    """What lies in a directory; the kinds of its entries come with their names, but for links."""
    try:
        with os.scandir(directory) as entries:
            return [Entry(entry.name, _is_directory(entry), None, entry.is_symlink()) for entry in entries]
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise StorageError(f"{directory.rstrip('/') or '/'} cannot be listed: {error.strerror}") from error
        return []


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def look_up(directory: str, name: str) -> Entry[os.stat_result | None] | None:
    """One name in a directory, which perhaps may not be listed; a broken link is there."""
    path = directory + name
    try:
        facts = os.stat(path)  # noqa: PTH116 - called once per file of a large pattern
    except OSError as error:
        if error.errno not in _NOT_THERE:
            refuse(path, error)
        return Entry(name, False, None) if os.path.lexists(path) else None
    return Entry(name, modes.S_ISDIR(facts.st_mode), facts)


def fixed_part(path: str) -> str:
    """The directory before the first wildcard, with its slash at the end."""
    parts = path.split("/")
    wild = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return "/".join(parts[:wild]) + "/"


def at_once(path: str, flags: int) -> int:
    """Open a file without waiting: a pipe has perhaps nobody at its other end."""
    return os.open(path, flags | os.O_NONBLOCK)


def _is_file(facts: os.stat_result) -> bool:
    """Directories, sockets and pipes are no files."""
    return modes.S_ISREG(facts.st_mode)


def _facts(path: str) -> os.stat_result:
    try:
        return os.stat(path)  # noqa: PTH116 - called once per file of a large glob
    except OSError as error:
        refuse(path, error)


def irregular(path: str) -> StorageError:
    """The error for something that is no file."""
    if Path(path).is_dir():
        return StorageError(f"{path} is a directory: name its files, for example {path}/*.jsonl or {path}/**/*.parquet")
    return StorageError(f"{path} is not a regular file")


def _info(path: str, name: str) -> FileInfo:
    facts = _facts(path)
    if not _is_file(facts):
        raise irregular(path)
    return _described(path, name, facts)


def _described(path: str, name: str, facts: os.stat_result) -> FileInfo:
    """A file as the system describes it."""
    return FileInfo(url=path, name=name, size=facts.st_size, modified_ns=facts.st_mtime_ns)


def refuse(path: str, error: OSError) -> NoReturn:
    """Raise the error for a file that the system refuses."""
    if not isinstance(error, FileNotFoundError):
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    if Path(path).is_symlink():
        raise StorageError(f"{path} is a broken link: it points to {Path(path).readlink()}") from error
    raise MissingError(f"no file {path}: {_advice(path)}") from error


def _advice(path: str) -> str:
    parent = Path(path).parent
    if not parent.is_dir():
        return f"the directory {parent} does not exist"
    near = difflib.get_close_matches(Path(path).name, os.listdir(parent), 1)  # noqa: PTH208
    return f"did you mean {parent / near[0]}?" if near else "check the path"


def _refuse_empty(pattern: str, base: str, matches: Sequence[str]) -> NoReturn:
    """Raise the error for a pattern that matches no file, but perhaps directories."""
    if matches:
        raise MissingError(
            f"{pattern} matches only directories, such as {matches[0]}: name their files, for example "
            f"{pattern.rstrip('/')}/*.jsonl"
        )
    if not Path(base).is_dir():
        raise MissingError(f"{pattern} matches no file: the directory {base} does not exist")
    raise MissingError(f"{pattern} matches no file: {base} exists, check the part with the wildcard")
