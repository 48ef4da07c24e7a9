"""Files of this machine: local disks and what is mounted like one."""

from __future__ import annotations

import difflib
import glob
import os
import stat as modes
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, NoReturn
from urllib.parse import unquote

from mixtera.contracts.storage import AccessProfile, FileInfo
from mixtera.errors import MissingError, StorageError
from mixtera.formats.ranges import GAP_BYTES, RangedFile
from mixtera_backends.storage.walk import expanded

_PREFIX: Final = "file://"


class LocalStorage:
    """Paths and `file://` URLs. A URL it returns is an absolute path."""

    name = "local"
    schemes = ("file",)

    def profile(self) -> AccessProfile:
        """Ranges are read through the page cache: small ones are fine, one at a time."""
        return AccessProfile(request_bytes=1 << 20, gap_bytes=GAP_BYTES, concurrency=1, stat_is_cheap=True)

    def expand(self, patterns: Sequence[str]) -> list[FileInfo]:
        """List the files of some patterns, each once, sorted by (name, url); `**` stands for any depth."""
        found: dict[str, FileInfo] = {}
        for pattern in patterns:
            for file in _matching(pattern):
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
            file = open(path, "rb", buffering=0, opener=_at_once)  # noqa: SIM115 - pathlib's has no opener
        except OSError as error:
            self.stat(url)
            _refuse(path, error)
        if not modes.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise _irregular(path)
        return file

    def describe(self, descriptor: int, url: str) -> FileInfo:
        """Describe an open file by its descriptor."""
        path = local_path(url)
        facts = os.fstat(descriptor)
        if not facts.st_nlink:
            raise StorageError(f"{path} was replaced or deleted while it was read; run the command again")
        return _described(path, path.rsplit("/", 1)[-1], facts)

    def random_access(self, url: str) -> RangedFile:
        """Open a file for reading in ranges, through a memory map."""
        return RangedFile(self.open(url), local_path(url))


def local_path(url: str) -> str:
    """The absolute path of a path or `file://` URL; `~` is the home directory."""
    path = url
    if url.startswith(_PREFIX):
        path = unquote(url.removeprefix(_PREFIX).removeprefix("localhost"))
    return os.path.abspath(Path(path).expanduser()) if path.startswith("~") else os.path.abspath(path)  # noqa: PTH100


def _matching(pattern: str) -> list[FileInfo]:
    path = local_path(pattern)
    if not glob.has_magic(path) or Path(path).is_file():
        return [_info(path, path.rsplit("/", 1)[-1])]
    base = _fixed_part(path)
    matches = sorted(expanded(base, path.removeprefix(base)))
    facts = [(match, _facts(match)) for match in matches]
    files = [_described(match, match.removeprefix(base), found) for match, found in facts if _is_file(found)]
    if not files:
        _refuse_empty(pattern, base, matches)
    return files


def _fixed_part(path: str) -> str:
    """The directory before the first wildcard, with its slash at the end."""
    parts = path.split("/")
    wild = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return "/".join(parts[:wild]) + "/"


def _at_once(path: str, flags: int) -> int:
    """Open a file without waiting: a pipe has perhaps nobody at its other end."""
    return os.open(path, flags | os.O_NONBLOCK)


def _is_file(facts: os.stat_result) -> bool:
    """Directories, sockets and pipes are no files."""
    return modes.S_ISREG(facts.st_mode)


def _facts(path: str) -> os.stat_result:
    try:
        return os.stat(path)  # noqa: PTH116 - called once per file of a large glob
    except OSError as error:
        _refuse(path, error)


def _irregular(path: str) -> StorageError:
    return StorageError(f"{path} is not a regular file")


def _info(path: str, name: str) -> FileInfo:
    facts = _facts(path)
    if modes.S_ISDIR(facts.st_mode):
        raise StorageError(f"{path} is a directory: name its files, for example {path}/*.jsonl or {path}/**/*.parquet")
    if not _is_file(facts):
        raise _irregular(path)
    return _described(path, name, facts)


def _described(path: str, name: str, facts: os.stat_result) -> FileInfo:
    return FileInfo(url=path, name=name, size=facts.st_size, modified_ns=facts.st_mtime_ns)


def _refuse(path: str, error: OSError) -> NoReturn:
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
    if matches:
        raise MissingError(
            f"{pattern} matches only directories, such as {matches[0]}: name their files, for example "
            f"{pattern.rstrip('/')}/*.jsonl"
        )
    if not Path(base).is_dir():
        raise MissingError(f"{pattern} matches no file: the directory {base} does not exist")
    raise MissingError(f"{pattern} matches no file: {base} exists, check the part with the wildcard")
