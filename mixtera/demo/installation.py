"""The Python installation that runs this program, as packages of files."""

from __future__ import annotations

import os
import platform
import re
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath
from typing import Final

from mixtera.demo.licenses import license_of

_NOT_STANDARD_LIBRARY: Final = frozenset({"site-packages", "dist-packages", "__pycache__", "ensurepip"})
_OWN_NAME: Final = "mixtera"
_MOST_TOPICS: Final = 12


@dataclass(frozen=True, slots=True)
class InstalledFile:
    """A file: its path inside the package's root, and where it lies."""

    name: PurePosixPath
    path: Path


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package.

    Attributes:
        name: Its name, lower case.
        version: Its version.
        license: Normalised license, or None when the package does not say.
        topics: What it is about, by its classifiers and keywords; sorted, at most twelve.
        files: Its files, sorted by name.
    """

    name: str
    version: str
    license: str | None
    topics: tuple[str, ...]
    files: tuple[InstalledFile, ...]


@dataclass(frozen=True, slots=True)
class Installation:
    """Where an installation's files lie.

    Attributes:
        site_packages: Directories with installed distributions.
        standard_library: Directory of the standard library.
        include: Directory of Python's own C headers.
        python_version: Version of the interpreter.
    """

    site_packages: tuple[Path, ...]
    standard_library: Path
    include: Path
    python_version: str

    @classmethod
    def current(cls) -> Installation:
        """The installation of the running interpreter."""
        roots = dict.fromkeys(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib"))
        return cls(
            site_packages=tuple(roots),
            standard_library=Path(sysconfig.get_path("stdlib")),
            include=Path(sysconfig.get_path("include")),
            python_version=platform.python_version(),
        )

    def requirements(self) -> tuple[str, ...]:
        """`name==version` of everything installed, sorted: what the corpus depends on."""
        found = {f"{_name(d)}=={d.version}" for d in self._distributions()}
        return (f"python=={self.python_version}", *sorted(found))

    def packages(self) -> Iterator[Package]:
        """The standard library and headers as the package `python`, then the installed packages by name."""
        yield self._python()
        yield from sorted(map(_package, self._distributions()), key=lambda package: package.name)

    def _distributions(self) -> list[Distribution]:
        found = distributions(path=[str(root) for root in self.site_packages])
        unique = {_name(distribution): distribution for distribution in found}
        return [distribution for name, distribution in unique.items() if name != _OWN_NAME]

    def _python(self) -> Package:
        files = [*_walk(self.standard_library, "lib"), *_walk(self.include, "include")]
        topics = ("programming languages", "standard library")
        return Package("python", self.python_version, "psf-2.0", topics, _sorted(files))


def _name(distribution: Distribution) -> str:
    return re.sub(r"[-_.]+", "-", str(distribution.metadata["Name"])).lower()


def _package(distribution: Distribution) -> Package:
    metadata: Message = distribution.metadata  # type: ignore[assignment]  # it is one; the stubs show a protocol
    files = [
        InstalledFile(PurePosixPath(file), Path(str(distribution.locate_file(file))))
        for file in distribution.files or ()
        if ".." not in file.parts
    ]
    return Package(_name(distribution), distribution.version, license_of(metadata), _topics(metadata), _sorted(files))


def _topics(metadata: Message) -> tuple[str, ...]:
    classifiers = [str(c) for c in metadata.get_all("Classifier", []) if str(c).startswith("Topic ::")]
    levels = {level.strip().lower() for c in classifiers for level in c.split("::")[1:]}
    keywords = str(metadata.get("Keywords") or "").replace(";", ",").replace("\n", ",").split(",")
    named = {word.strip().lower() for word in keywords} if len(keywords) > 1 else set()
    return tuple(sorted(topic for topic in levels | named if topic)[:_MOST_TOPICS])


def _walk(root: Path, prefix: str) -> Iterator[InstalledFile]:
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = sorted(name for name in subdirectories if name not in _NOT_STANDARD_LIBRARY)
        below = PurePosixPath(prefix, Path(directory).relative_to(root).as_posix())
        yield from (InstalledFile(below / name, Path(directory, name)) for name in names)


def _sorted(files: Sequence[InstalledFile]) -> tuple[InstalledFile, ...]:
    return tuple(sorted(files, key=lambda file: file.name.as_posix()))
