"""`FsspecStorage`: lists, describes, opens and writes what fsspec knows."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias, cast

from mixtera.contracts.storage import AccessProfile, FileInfo, Option, Options, Storage
from mixtera.errors import MissingError, StorageError
from mixtera_backends.storage.files import RangesFile
from mixtera_backends.storage.fsspec.address import Address, installed, located
from mixtera_backends.storage.fsspec.facts import file_info, is_directory
from mixtera_backends.storage.fsspec.failures import asked
from mixtera_backends.storage.fsspec.objects import CONCURRENCY, GAP_BYTES, REQUEST_BYTES, FsspecFile
from mixtera_backends.storage.patterns import Pattern
from mixtera_backends.storage.walk import Entry, Walk

Facts: TypeAlias = Mapping[str, Any]
_MOST_NEAR: Final = 1_000
"""Names of a directory that are compared with one that is not there."""


class FsspecStorage:
    """URLs of all schemes that no other storage has."""

    name = "fsspec"
    schemes: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    any_option = True

    def __init__(self, options: Options | None = None) -> None:
        self._options = dict(options or {})

    def configured(self, options: Options) -> Storage:
        """This storage, whose options are handed to fsspec's file system."""
        return FsspecStorage(options)

    def others(self) -> Collection[str]:
        """Schemes whose packages are installed."""
        return installed()

    def profile(self) -> AccessProfile:
        """That of a web server: some requests at a time, none of them small."""
        return AccessProfile(REQUEST_BYTES, GAP_BYTES, CONCURRENCY, stat_is_cheap=False)

    def expand(self, patterns: Sequence[str]) -> list[FileInfo]:
        """List the files of some patterns, each once, sorted by (name, url); `**` stands for any depth."""
        walks: dict[Address, Walk[Facts]] = {}
        found: dict[str, FileInfo] = {}
        for pattern in patterns:
            address = Address.of(pattern)
            for file in self._matching(walks, address) if address.is_pattern else [self.stat(pattern)]:
                found.setdefault(file.url, file)
        return sorted(found.values(), key=lambda file: (file.name, file.url))

    def stat(self, url: str) -> FileInfo:
        """Describe one file."""
        address = Address.of(url)
        try:
            return file_info(address, address.name, self._facts(address))
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise MissingError(f"no file {url}: {self._advice(address)}") from error.__cause__
            raise

    def open(self, url: str) -> BinaryIO:
        """Open a file for reading from its beginning, in ranges."""
        return cast(BinaryIO, RangesFile(self.random_access(url)))

    def random_access(self, url: str) -> FsspecFile:
        """Open a file for reading in ranges."""
        return FsspecFile(Address.of(url), self._options, self.stat(url).size)

    def write(self, url: str, content: bytes | Path) -> None:
        """Write a file, or replace it; as whole or not at all as the package for the scheme does it."""
        address = Address.of(url)

        def put() -> None:
            system, path = located(address, self._options)
            if (parent := system._parent(path)) not in ("", "/", path):
                system.makedirs(parent, exist_ok=True)
            if isinstance(content, Path):
                system.put_file(str(content), path)
            else:
                system.pipe_file(path, content)

        asked(url, put)

    def _facts(self, address: Address) -> Facts:
        def ask() -> Facts:
            system, path = located(address, self._options)
            system.invalidate_cache()
            return cast(Facts, system.info(path))

        return asked(address.url, ask)

    def _matching(self, walks: dict[Address, Walk[Facts]], address: Address) -> list[FileInfo]:
        wanted = Pattern.of(address.path)
        base = address.at(wanted.base)
        walk = walks.setdefault(address.at(""), Walk(lambda folder: self._listed(address.at(folder))))
        found = walk.matching(base.path, address.path[len(base.path) :].split("/"))
        matches = [(name, entry) for name, entry in found if not entry.is_directory]
        if not matches:
            seen = len(walk.entries(base.path))
            why = f"of {seen:,} names there none does, check the pattern" if seen else "it is empty, or not there"
            raise MissingError(f"{address.url} matches no file in {base.url}: {why}")
        return self._described(base, matches)

    def _described(self, base: Address, matches: Sequence[tuple[str, Entry[Facts]]]) -> list[FileInfo]:
        """The files of a listing; where it does not say how large they are, each is asked for, many at a time."""

        def describe(match: tuple[str, Entry[Facts]]) -> FileInfo:
            name, entry = match
            address = base.at(base.path + name)
            facts = entry.facts if isinstance(entry.facts.get("size"), int) else self._facts(address)
            return file_info(address, name, facts)

        with ThreadPoolExecutor(CONCURRENCY if self._may_ask_in_threads(base) else 1) as threads:
            return list(threads.map(describe, matches))

    def _may_ask_in_threads(self, base: Address) -> bool:
        return bool(located(base, self._options)[0].async_impl)

    def _listed(self, folder: Address) -> list[Entry[Facts]]:
        def ask() -> list[Entry[Facts]]:
            system, path = located(folder, self._options)
            system.invalidate_cache()
            own = path.rstrip("/")
            found = [facts for facts in system.ls(path, detail=True) if facts["name"].rstrip("/") != own]
            return [Entry(name, is_directory(facts), facts) for facts in found if (name := _last(facts))]

        try:
            return asked(folder.url, ask)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return []
            raise

    def _advice(self, address: Address) -> str:
        """What could be meant where there is no file."""
        folder, _, name = address.path.rpartition("/")
        try:
            names = [entry.name for entry in self._listed(address.at(f"{folder}/"))[:_MOST_NEAR]]
        except StorageError:
            names = []
        close = difflib.get_close_matches(name, names, 1)
        return f"did you mean {address.at(f'{folder}/{close[0]}').url}?" if close else "check the URL"


def _last(facts: Facts) -> str:
    """The name of an entry in its folder; what a web page links to elsewhere is none."""
    return str(facts["name"]).rstrip("/").rpartition("/")[2].partition("?")[0]
