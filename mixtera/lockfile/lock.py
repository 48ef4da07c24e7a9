"""The lock as users hold it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from mixtera.artifact.model import PlanData
from mixtera.cached import cached_property
from mixtera.errors import LockError, StorageError
from mixtera.lockfile import writing
from mixtera.lockfile.difference import LockDifference, difference
from mixtera.lockfile.making import body_of
from mixtera.lockfile.model import LockBody
from mixtera.lockfile.text import decode, encode
from mixtera.registry import storage_of


@dataclass(frozen=True, repr=False)
class Lock:
    """What a spec compiled to: sources and their files, counts, the plan's digest, the lines of the spec.

    Attributes:
        body: What it says.
    """

    body: LockBody

    @classmethod
    def of(cls, data: PlanData, digest: str, spec: tuple[str, ...] = (), *, portable: bool = False) -> Lock:
        """The lock of a plan.

        Args:
            data: The plan's content.
            digest: The plan's digest.
            spec: The normalised lines of its spec, where they are known.
            portable: Leave out times and etags of files, which a copy of them does not keep.
        """
        return cls(body_of(data, digest, spec, portable))

    @classmethod
    def open(cls, path: str) -> Lock:
        """Read a lock.

        Args:
            path: The file: a path or a URL.

        Raises:
            LockError: There is none, it is not a lock, is damaged, or is of a newer version.
            StorageError: It cannot be read.
        """
        found = read(path)
        if found is None:
            raise LockError(f"there is no lock {path}; `mixtera lock SPEC` writes one")
        return cls(decode(found, path))

    def save(self, path: str) -> None:
        """Write the lock, whole or not at all; an older lock there is replaced.

        Raises:
            LockError: Something that is not a lock lies there.
            StorageError: It cannot be written.
        """
        writing.write(path, self._content)

    @cached_property
    def _content(self) -> bytes:
        return encode(self.body)

    def __str__(self) -> str:
        return self._content.decode()

    def __repr__(self) -> str:
        return f"Lock({self.body.name!r}, plan {self.body.plan[:19]}…)"

    @cached_property
    def digest(self) -> str:
        """`sha256:…` of the file that `save` writes."""
        return f"sha256:{hashlib.sha256(self._content).hexdigest()}"

    @property
    def is_portable(self) -> bool:
        """Whether it leaves out times and etags of files, so that it holds for copies of them too."""
        files = [file for source in self.body.sources for file in source.files]
        return bool(files) and all(file.modified is None and file.etag is None for file in files)

    def difference(self, other: Lock) -> LockDifference:
        """What is different in another lock: this one is before, the other after."""
        return difference(self.body, other.body)


def read(path: str) -> bytes | None:
    """The content of a file, a path or a URL; None where there is none.

    Raises:
        StorageError: It cannot be read.
    """
    if path.startswith("file://"):
        path = unquote(path.removeprefix("file://").removeprefix("localhost"))
    try:
        if "://" not in path:
            return Path(path).read_bytes()
        with storage_of(path).open(path) as remote:
            return remote.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}") from error
