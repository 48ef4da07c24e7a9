"""`LustreStorage`: local paths, read with few and large requests."""

from __future__ import annotations

import glob
import os
import stat as modes
from typing import BinaryIO, Final, cast

from mixtera.contracts.storage import AccessProfile, FileInfo, Option, Options, Storage
from mixtera.errors import StorageError
from mixtera_backends.storage.files import RangesFile
from mixtera_backends.storage.local import LocalStorage, at_once, fixed_part, irregular, local_path, refuse
from mixtera_backends.storage.lustre import mounts
from mixtera_backends.storage.lustre.access import StripedFile
from mixtera_backends.storage.lustre.stripes import DEFAULT_BYTES, LARGEST_UNIT_BYTES, LEAST_BYTES, Stripes
from mixtera_backends.storage.options import in_force

VARIABLE: Final = "MIXTERA_LUSTRE_STRIPE_BYTES"


class LustreStorage(LocalStorage):
    """Paths and `file://` URLs on Lustre; what it does not say otherwise is as in `LocalStorage`."""

    name = "lustre"
    schemes: tuple[str, ...] = ()
    options: tuple[Option, ...] = (
        Option("stripe_bytes", "bytes", "Width of the stripes, instead of what `lfs getstripe` says.", VARIABLE),
    )
    any_option = False

    def __init__(self, options: Options | None = None) -> None:
        width = in_force(self.options, options or {}).get("stripe_bytes")
        if width is not None and int(width) % LEAST_BYTES:
            raise StorageError(f"stripe_bytes is {width}: stripes of Lustre are multiples of {LEAST_BYTES} bytes")
        super().__init__()
        self._stripes = Stripes(None if width is None else int(width))

    def configured(self, options: Options) -> Storage:
        """This storage with options."""
        return LustreStorage(options)

    def recognises(self, path: str) -> bool:
        """Whether a path lies on Lustre; for a pattern, its directory before the first wildcard."""
        found = local_path(path)
        directory = fixed_part(found) if glob.has_magic(found) else os.path.dirname(found)  # noqa: PTH120
        return mounts.lies_on_lustre(directory, mounts.TABLE)

    def profile(self) -> AccessProfile:
        """Whole stripes, in calls that the client spreads over the servers by itself."""
        return AccessProfile(LARGEST_UNIT_BYTES, DEFAULT_BYTES, concurrency=1, stat_is_cheap=False)

    def open(self, url: str) -> BinaryIO:
        """Open a file; it is read ahead in whole stripes."""
        return self._file(local_path(url), None)

    def random_access(self, url: str) -> StripedFile:  # type: ignore[override]
        """Open a file for reading in ranges, each with the whole of its stripes."""
        return self._opened(local_path(url), None)

    def pinned(self, file: FileInfo) -> Storage:
        """This storage, in which the file's URL is the file that was indexed: its open descriptor is compared."""
        return PinnedFile(self, file)

    def _file(self, path: str, indexed: FileInfo | None) -> BinaryIO:
        return cast(BinaryIO, StripedStream(self._opened(path, indexed)))

    def _opened(self, path: str, indexed: FileInfo | None) -> StripedFile:
        """One open, and one description of what is open."""
        try:
            file = open(path, "rb", buffering=0, opener=at_once)  # noqa: SIM115 - its owner closes it
        except OSError as error:
            refuse(path, error)
        facts = os.fstat(file.fileno())
        if modes.S_ISDIR(facts.st_mode) or not modes.S_ISREG(facts.st_mode):
            file.close()
            raise irregular(path)
        if indexed is not None and (said := _changes(indexed, facts)):
            file.close()
            raise StorageError(
                f"{path} changed since it was indexed ({said}); restore the file, or run `mixtera index` and "
                "compile again"
            )
        return StripedFile(file, path, facts.st_size, self._stripes.unit(path), self.traffic)


class StripedStream(RangesFile):
    """A file that is read in whole stripes; by its descriptor it can be described."""

    def __init__(self, source: StripedFile) -> None:
        super().__init__(source, source.unit)
        self._striped = source

    def fileno(self) -> int:
        """The descriptor of the file."""
        return self._striped.fileno()


class PinnedFile(LustreStorage):
    """A storage in which one URL is the file that was indexed, and any other file there an error."""

    def __init__(self, storage: LustreStorage, file: FileInfo) -> None:
        self._stripes, self._indexed, self.traffic = storage._stripes, file, storage.traffic

    def open(self, url: str) -> BinaryIO:
        """Open a file; it is read ahead in whole stripes."""
        return self._file(local_path(url), self._indexed if url == self._indexed.url else None)

    def random_access(self, url: str) -> StripedFile:  # type: ignore[override]
        """Open a file for reading in ranges, each with the whole of its stripes."""
        return self._opened(local_path(url), self._indexed if url == self._indexed.url else None)


def _changes(indexed: FileInfo, facts: os.stat_result) -> str:
    """What is different in an open file; empty for nothing."""
    if facts.st_size != indexed.size:
        return f"{facts.st_size} bytes, were {indexed.size}"
    return "modified since" if indexed.modified_ns and facts.st_mtime_ns != indexed.modified_ns else ""
