"""Stripes that the processes of a machine share: a file each, in a directory with a limit.

A stripe that is there has its name; one that is being fetched is an unfinished file, on which whoever fetches it holds
a lock that the system releases with the process. So two processes never fetch the same stripe at the same time, and an
unfinished file without a lock is what a dead process left. A file may be removed while others read it: they have it
open, or fetch it again.

Where the user names no directory, it is one in the system's temporary directory, and goes with the last of those who
share it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from mixtera.errors import MixteraError
from mixtera.formats.temporary import shared_directory, spool_bytes, spool_directory
from mixtera_backends.storage.s3.blocks import BLOCK_BYTES, kept_bytes
from mixtera_backends.storage.s3.company import Company, have_alone
from mixtera_backends.storage.s3.locks import is_at, locked
from mixtera_backends.storage.s3.ring import Ring, cannot_be_kept, write
from mixtera_backends.storage.s3.stretches import Keeper, Stripe

if TYPE_CHECKING:
    from mixtera_backends.storage.s3.clients import Buffer

_KEPT: Final = ".stripe"
_UNFINISHED: Final = ".part"
_LOCK: Final = "lock"
OPEN_STRIPES: Final = 128
PATIENCE_SECONDS: Final = 60.0
"""After which what another process is fetching is read record by record."""
_FIRST_PAUSE_SECONDS: Final = 0.002
_LONGEST_PAUSE_SECONDS: Final = 0.05
LOOKS: Final = 16
"""Looks at the whole directory in the time in which a process fetches as much as may be kept."""


class Directory:
    """The stripes of one directory; those that were opened longest ago make room.

    Args:
        directory: Where a folder of this user is made for them.
        capacity_bytes: Bytes that they may have together, about; where it does not stay, for each who shares it.
        stays: Whether the folder stays when this process and all that share it have ended.
    """

    def __init__(self, directory: str, capacity_bytes: int, stays: bool = True) -> None:
        self.capacity_bytes, self.is_shared = capacity_bytes, True
        self._above, self._directory = directory, Path(directory) / f"mixtera-s3-{os.getuid()}"
        self._company: Company | None = None
        if not stays:
            self._each_bytes, self._directory = capacity_bytes, self._directory.with_suffix(".now")
            self._company = Company(self._directory)
        self._open: OrderedDict[Stripe, BinaryIO] = OrderedDict()
        self._known: set[Stripe] = set()
        self._lock = threading.Lock()
        self._unchecked = capacity_bytes
        self._closed = weakref.finalize(self, _close_all, self._open)

    @property
    def reading(self) -> threading.Lock:
        """See `Keeper.reading`: nothing is closed while it is held."""
        return self._lock

    def holds(self, stripe: Stripe) -> bool:
        """Whether a stripe is kept, or was: `places` tells who relies on it."""
        if stripe not in self._known:
            self._enter()  # before anything is read there: whose directory is it?
            if self._path(stripe).exists():
                self._known.add(stripe)
        return stripe in self._known

    def have(self, stripe: Stripe, read: Callable[[], Iterator[Buffer]]) -> None:
        """See `Keeper.have`; where another process is fetching the stripe, wait for it."""
        try:
            self._enter()
            with self._claimed(stripe) as made:
                if made is not None:
                    self._fill(stripe, made, read())
        except OSError as error:
            if isinstance(error, MixteraError):
                raise
            raise cannot_be_kept(self._above, error, is_shared=True) from error

    def places(self, stripes: Sequence[Stripe]) -> list[tuple[int, int] | None]:
        """See `Keeper.places`."""
        found = [None if (file := self._opened(stripe)) is None else (file.fileno(), 0) for stripe in stripes]
        if len(stripes) <= OPEN_STRIPES:
            while len(self._open) > OPEN_STRIPES:
                self._open.popitem(last=False)[1].close()
        return found

    def make_room(self) -> None:
        """Remove what dead processes left, and what was unused for longest until the rest is within the limit.

        Raises:
            OSError: The directory cannot be read.
        """
        if self._company is not None:
            self.capacity_bytes = self._each_bytes * self._company.size()
        with (self._directory / _LOCK).open("ab") as lock:
            if not locked(lock):
                return  # somebody else is at it
            try:
                self._remove_unused()
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)  # a child that was forked meanwhile has the lock, too

    def _enter(self) -> None:
        """Have the directory; where it goes with those who share it, be one of them.

        Raises:
            StorageError: It cannot be made, or is not this user's alone.
        """
        try:
            if self._company is not None:
                self._company.join()
            else:
                have_alone(self._directory)
        except OSError as error:
            if isinstance(error, MixteraError):
                raise
            raise cannot_be_kept(self._above, error) from error

    def _remove_unused(self) -> None:
        sizes = {}
        for path in self._directory.iterdir():
            with suppress(FileNotFoundError):
                if path.suffix == _UNFINISHED:
                    _remove_unlocked(path)
                elif path.suffix == _KEPT:
                    sizes[path] = path.stat()
        used = sum(status.st_size for status in sizes.values())
        for path in sorted(sizes, key=lambda path: sizes[path].st_mtime_ns):
            if used <= self.capacity_bytes:
                return
            path.unlink(missing_ok=True)
            used -= sizes[path].st_size

    def _fill(self, stripe: Stripe, made: BinaryIO, parts: Iterator[Buffer]) -> None:
        """Write an unfinished file, and give it its name."""
        made.truncate(0)
        written = write(made.fileno(), parts, 0)
        self._part(stripe).replace(self._path(stripe))
        self._unchecked += written
        if self._unchecked * LOOKS >= self.capacity_bytes:
            self._unchecked = 0
            self.make_room()

    @contextmanager
    def _claimed(self, stripe: Stripe) -> Iterator[BinaryIO | None]:
        """The unfinished file of a stripe, locked; None where it is kept, or another process takes too long with it."""
        path, part = self._path(stripe), self._part(stripe)
        pause, until = _FIRST_PAUSE_SECONDS, time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until and not path.exists():
            with closing(part.open("a+b", buffering=0)) as made:
                if locked(made) and is_at(made, part):
                    try:
                        yield None if path.exists() else made
                    finally:
                        if is_at(made, part):  # else it has its name by now
                            part.unlink()
                        fcntl.flock(made, fcntl.LOCK_UN)  # a child that was forked meanwhile has the lock, too
                    return
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        yield None

    def _opened(self, stripe: Stripe) -> BinaryIO | None:
        file = self._open.get(stripe)
        if file is None:
            try:
                file = self._path(stripe).open("rb", buffering=0)
            except FileNotFoundError:
                self._known.discard(stripe)
                return None
            if os.fstat(file.fileno()).st_size != stripe.stop - stripe.start:
                file.close()
                return None
            with suppress(OSError):
                os.utime(file.fileno())
            self._open[stripe] = file
        self._open.move_to_end(stripe)
        return file

    def _path(self, stripe: Stripe) -> Path:
        return self._directory / (_name(stripe) + _KEPT)

    def _part(self, stripe: Stripe) -> Path:
        return self._directory / (_name(stripe) + _UNFINISHED)


def keeper(alone: bool) -> Keeper | None:
    """What keeps the stripes of this process, as the environment says; None where nothing is kept.

    Args:
        alone: Nobody else reads the same.
    """
    kept, directory = stripe_bytes(), shared_directory()
    if not kept:
        return None
    if directory is not None:
        return Directory(directory, kept)
    return Ring(kept) if alone else Directory(spool_directory(), kept, stays=False)


def stripe_bytes() -> int:
    """Bytes of stripes that may be kept: by each process, or, where the user names a directory, by all of a machine.

    Raises:
        StorageError: The environment says no number.
    """
    kept = kept_bytes()
    if kept < BLOCK_BYTES or shared_directory() is None:
        return kept if kept >= BLOCK_BYTES else 0
    return spool_bytes()


def _name(stripe: Stripe) -> str:
    key = "\0".join([*stripe.object, str(stripe.start), str(stripe.stop)])
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _remove_unlocked(path: Path) -> None:
    with path.open("rb") as file:
        if locked(file):
            path.unlink(missing_ok=True)


def _close_all(files: OrderedDict[Stripe, BinaryIO]) -> None:
    for file in files.values():
        file.close()
