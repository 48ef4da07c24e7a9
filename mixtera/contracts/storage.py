"""Storage: where files lie. A storage lists, describes and opens files, and gathers byte ranges of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class AccessProfile:
    """How a storage wants to be read.

    Attributes:
        request_bytes: Size of a good request.
        gap_bytes: Ranges that are closer than this are fetched as one.
        concurrency: Requests in flight at a time.
        stat_is_cheap: Whether one `stat` per opened file costs nothing worth saving.
        block_bytes: Records smaller than this are read in blocks of so many bytes, each of which a process fetches once
            and keeps; a gap is then read along and kept too. 0 for a storage that keeps nothing.
        kept_bytes: Bytes that it keeps, at most, of what is wanted whole (see `Stretching`), each of which is fetched
            once, in requests of `request_bytes`: for each process, or, where it `stays`, for all of a machine.
        is_shared: Whether the processes of a machine share these.
        stays: Whether it stays there when they have ended.
    """

    request_bytes: int
    gap_bytes: int
    concurrency: int
    stat_is_cheap: bool
    block_bytes: int = 0
    kept_bytes: int = 0
    is_shared: bool = False
    stays: bool = False


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file as its storage describes it; all of it together is the file's fingerprint.

    Attributes:
        url: How the storage opens the file again.
        name: The path below the fixed part of the pattern: the file's identity on any machine.
        size: Bytes.
        modified_ns: Time of the last change in nanoseconds since 1970; 0 where the storage has none.
        etag: The storage's own mark of the content; empty where there is none.
        beside: Size and etag, or time of the last change, of the file beside it that says where its samples are; empty
            where its format has no such files (see `mixtera.contracts.format.Accompanied`).
    """

    url: str
    name: str
    size: int
    modified_ns: int
    etag: str = ""
    beside: str = ""

    @property
    def mark(self) -> str:
        """What tells that it is another one, as text: its size, and its etag, or else the time of its last change."""
        known = f"etag {self.etag}" if self.etag else f"modified {self.modified_ns}"
        return f"{self.size} bytes, {known}"


@runtime_checkable
class RandomAccess(Protocol):
    """An open file that is read in ranges. Not shared between processes; `close` releases it."""

    @property
    def size(self) -> int:
        """Bytes in the file."""

    def gather(self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> pa.LargeBinaryArray:
        """Read many ranges in one go.

        Args:
            starts: First byte of each range, ascending.
            stops: Byte after the last of each range; ranges do not overlap.

        Returns:
            One value per range, in the order given; the values stand back to back in one buffer.

        Raises:
            StorageError: A range cannot be read.
        """

    def close(self) -> None:
        """Release the file."""


@runtime_checkable
class Expecting(Protocol):
    """A `RandomAccess` that begins to fetch what will be read soon."""

    def expect(self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> None:
        """Begin to fetch ranges, and return; arguments are those of a `gather` that follows. Harmless if none does."""


@runtime_checkable
class Storage(Protocol):
    """One kind of storage. Instances hold no connections before the first call, so they survive fork and spawn.

    Attributes:
        name: Its name.
        schemes: The URL schemes that are its own; `file` is that of a plain path.
    """

    name: str
    schemes: tuple[str, ...]

    def profile(self) -> AccessProfile:
        """How this storage wants to be read."""

    def expand(self, patterns: Sequence[str]) -> list[FileInfo]:
        """List the files of some patterns, each once, sorted by (name, url).

        Raises:
            StorageError: A pattern without wildcards names no file, or a pattern with wildcards matches nothing.
        """

    def stat(self, url: str) -> FileInfo:
        """Describe one file (`name` is its last path part).

        Raises:
            StorageError: It does not exist or cannot be read.
        """

    def open(self, url: str) -> BinaryIO:
        """Open a file for reading from its beginning; the result is also seekable."""

    def random_access(self, url: str) -> RandomAccess:
        """Open a file for reading in ranges."""


@runtime_checkable
class Counted(Protocol):
    """How much was asked of a storage."""

    requests: int
    read_bytes: int


@runtime_checkable
class Counting(Protocol):
    """A storage that counts what this process asks of it."""

    @property
    def traffic(self) -> Counted:
        """What it has asked for so far; the object goes on counting."""


@runtime_checkable
class Pinning(Protocol):
    """A storage that can tell with every read whether an object is still the one that was indexed."""

    def pinned(self, file: FileInfo) -> Storage:
        """A storage in which `file.url` is the object with this file's etag, and any other content an error.

        It needs no `stat` before it opens the file. Where the file has no etag, nothing is pinned.
        """


@runtime_checkable
class Stretching(Protocol):
    """A storage of one file that reads stretches of it whole, and keeps them for what comes."""

    def stretched(self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64], alone: bool) -> Storage:
        """This storage, told that who reads something of one of these stretches will soon want all of it.

        Args:
            starts: First byte of each stretch, ascending.
            stops: Byte after the last of each; stretches do not overlap.
            alone: Nobody else reads the same.
        """


@runtime_checkable
class Descriptors(Protocol):
    """A storage whose files have descriptors of the operating system, and can be described by them."""

    def describe(self, descriptor: int, url: str) -> FileInfo:
        """Describe a file that `open` has opened, as it is now, without looking for it by its name.

        Raises:
            StorageError: It was deleted or replaced meanwhile.
        """


@runtime_checkable
class Recognising(Protocol):
    """A storage for some of the paths of this machine, such as those on one kind of file system.

    It is asked when it has an entry point in the group `mixtera.paths` beside that in `mixtera.storage`.
    """

    def recognises(self, path: str) -> bool:
        """Whether a path, a `file://` URL, or a pattern of these, is for this storage."""


@runtime_checkable
class AnyScheme(Protocol):
    """A storage for URLs of all schemes that no other storage has. What it cannot read is a `PluginError`."""

    def others(self) -> Collection[str]:
        """Schemes that it can read with what is installed here."""


@runtime_checkable
class Writing(Protocol):
    """A storage that plans and locks can be written to."""

    def write(self, url: str, content: bytes | Path) -> None:
        """Write a file, or replace it. Readers see the old one or the new one, where the storage can do so.

        Args:
            url: The file.
            content: Its bytes, or the local file that holds them.

        Raises:
            StorageError: It cannot be written.
        """


@runtime_checkable
class Creating(Storage, Writing, Protocol):
    """A storage that a catalog can lie on: of several programs that write one file at once, one succeeds."""

    def create(self, url: str, content: bytes) -> bool:
        """Write a file where there is none, in one step.

        Returns:
            Whether this call has written it. False is not certain: where an answer was lost and the request was made
            again, the file that is there may be that of this call.

        Raises:
            StorageError: It cannot be written; where no answer came, it may have been.
        """

    def delete(self, urls: Sequence[str]) -> None:
        """Delete files; what is not there is no error.

        Raises:
            StorageError: One cannot be deleted.
        """


OptionValue: TypeAlias = str | int | float | bool
Options: TypeAlias = Mapping[str, OptionValue]
StorageOptions: TypeAlias = tuple[tuple[str, tuple[tuple[str, OptionValue], ...]], ...]
"""Options by name of a storage, scheme or URL prefix, as a spec has them."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option that a spec may give to a storage. None is a secret.

    Attributes:
        name: Its key in the spec.
        kind: `text`, `flag`, `count` (a whole number from 1), `bytes` (a count, or such as 8MiB), `rate` (a number
            greater than 0).
        meaning: What it says, in one sentence.
        variable: The environment variable that has the last word, where there is one.
    """

    name: str
    kind: Literal["text", "flag", "count", "bytes", "rate"]
    meaning: str
    variable: str = ""


@runtime_checkable
class Configurable(Protocol):
    """A storage that takes options.

    Attributes:
        options: Those it knows.
        any_option: Whether it takes others too, and hands them on.
    """

    options: tuple[Option, ...]
    any_option: bool

    def configured(self, options: Options) -> Storage:
        """This storage with some options, values as their kinds say."""
