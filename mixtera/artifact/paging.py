"""Where the pages of a plan at a URL come from: its long arrays there, read in ranges."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pyarrow as pa

from mixtera.artifact.model import PlanData
from mixtera.artifact.pages import PagedArray
from mixtera.contracts.storage import RandomAccess
from mixtera.errors import PlanError, StorageError
from mixtera.links import parted
from mixtera.order.seats import Int64s
from mixtera.registry import storage_of

ORIGIN: Final = ".origin"
"""A file of a copy that lacks pages: the URL of the plan. No plan has a file of that name."""
SIZE_VARIABLE: Final = "MIXTERA_PAGED_BYTES"
"""Environment variable: arrays of a plan at a URL that are longer than so many bytes come in pages."""
LEAST_BYTES: Final = 64 << 20


def least_bytes() -> int:
    """Bytes beyond which an array comes in pages, as the environment says.

    Raises:
        StorageError: It says no number.
    """
    text = os.environ.get(SIZE_VARIABLE, str(LEAST_BYTES))
    if not (text.isascii() and text.isdecimal()):
        raise StorageError(
            f"{SIZE_VARIABLE} is {text!r}: it must be a whole number of bytes, beyond which an array of a plan at a "
            f"URL comes in pages ({LEAST_BYTES} without it)"
        )
    return int(text)


def origin_of(directory: Path) -> str | None:
    """The URL of the plan that a directory is a copy of without all pages; None where it is any other plan.

    Raises:
        StorageError: The copy cannot be read.
    """
    try:
        return (directory / ORIGIN).read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"{directory / ORIGIN} cannot be read: {error.strerror or error}") from error


def complete(data: PlanData) -> None:
    """Fetch what is missing of a plan's arrays: for those who read its files themselves.

    Raises:
        PlanError: The plan is not at its URL any more.
        StorageError: It cannot be read, or there is no room for it.
    """
    left_out = data.variation.excluded, data.variation.delivered
    columns = [data.rows, data.starts, *(some.bits for some in left_out if some is not None)]
    for column in [*columns, *(() if data.tokens is None else (data.tokens.counts,))]:
        if isinstance(column, PagedArray):
            column.load()


class FarArray:
    """A long array at its URL: a `Source` of pages. Each process opens it for itself, at its first missing page."""

    def __init__(self, plan: str, folder: str, name: str, size: int) -> None:
        """Prepare; nothing is asked.

        Args:
            plan: URL of the plan.
            folder: Name of the folder there that has its files; in a copy of a directory they lie beside its document.
            name: Name of the array's file.
            size: Its bytes.
        """
        self._plan, self._name, self._size = plan, name, size
        self._urls = at(plan, folder, name), at(plan, name)
        self._process = 0
        self._access: RandomAccess | None = None

    @property
    def gap_bytes(self) -> int:
        """See `Source`: what the storage reads along."""
        return storage_of(self._plan).profile().gap_bytes

    def gather(self, starts: Int64s, stops: Int64s) -> pa.LargeBinaryArray:
        """See `Source`."""
        access = self._access
        if access is None or self._process != os.getpid():
            access = self._access = self._opened()
            self._process = os.getpid()
        return access.gather(starts, stops)

    def changed(self, name: str) -> PlanError:
        """See `Source`."""
        return PlanError(
            f"the plan {self._plan} is damaged, or was replaced: {name} there is not the one that its plan.json, as it "
            "was opened, is of; open it again, or copy it there again"
        )

    def _opened(self) -> RandomAccess:
        for url in self._urls:
            try:
                access = storage_of(url).random_access(url)
            except StorageError as error:
                if not is_missing(error):
                    raise
            else:
                if access.size == self._size:
                    return access
                access.close()
                raise self.changed(self._name)
        raise PlanError(
            f"the plan {self._plan} is damaged, or was removed after it was opened: its {self._name} is missing; copy "
            "it there again, or compile the spec again"
        )


def is_missing(error: StorageError) -> bool:
    """Whether a storage says that there is no such file."""
    return isinstance(error.__cause__, FileNotFoundError)


def at(url: str, *names: str) -> str:
    """The URL of something below a folder; of a chain of URLs, in its first link that has a path."""
    before, link, after = parted(url)
    return before + "/".join([link.rstrip("/"), *names]) + after
