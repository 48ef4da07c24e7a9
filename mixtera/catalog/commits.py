"""Which metadata file each Iceberg table has now, where a catalog lies at a URL: a numbered object for each commit.

`commits/0000000007.json` says all of it, and is written only where there is no such object. So of two programs that
commit at once, one gets the number; the other finds it taken, looks at what is there, and does its commit once more.
No commit is ever changed: who has read one sees one state of all sources.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from mixtera.catalog.mirror import Mirror
from mixtera.catalog.names import commit_name
from mixtera.contracts.storage import FileInfo
from mixtera.errors import CatalogError, MissingError, StorageError
from mixtera.pauses import pauses

FOLDER: Final = "commits"
_NAME: Final = re.compile(r"(\d{10})\.json")
_ATTEMPTS: Final = 50
_PAUSES: Final = (0.05, 5.0)
_Result = TypeVar("_Result")


class Overtaken(StorageError):  # noqa: N818 - says what happened
    """Somebody else has committed meanwhile; nothing was changed."""


class Document(msgspec.Struct, frozen=True):
    """What a commit says.

    Attributes:
        number: Its number; the first is 1.
        key: A random word, by which a program knows its own commit where the answer to it was lost.
        tables: Namespace → table → metadata file, below the catalog.
        dropped: Namespace → number of the commit that has dropped it last.
    """

    number: int = 0
    key: str = ""
    tables: dict[str, dict[str, str]] = {}
    dropped: dict[str, int] = {}


class Commits:
    """The pointers of a catalog at a URL, as they were at the last `refresh`, commit included that came from here."""

    def __init__(self, recorded: str, mirror: Mirror) -> None:
        """Read the newest commit.

        Args:
            recorded: The URL that the catalog had when it was made.
            mirror: Where it lies, and where its files are kept.

        Raises:
            StorageError: It cannot be read.
            CatalogError: It is not one.
        """
        self._recorded, self._mirror = recorded, mirror
        self._local = _Local()
        self._document = self._newest()

    @contextmanager
    def together(self) -> Iterator[list[Path]]:
        """See `Pointers`; files are uploaded, and then the commit is written.

        Raises:
            Overtaken: Somebody else was faster.
            StorageError: A file or the commit cannot be written.
        """
        base, files = self._document, list[Path]()
        tables = {namespace: dict(found) for namespace, found in base.tables.items()}
        self._local.next = Document(base.number + 1, secrets.token_hex(16), tables, dict(base.dropped))
        committed = False
        try:
            yield files
            self._mirror.upload(files)
            self._commit(self._local.next)
            self._document = self._local.next
            committed = True
        finally:
            self._local.next = None
            self._mirror.settle(committed)

    def refresh(self) -> None:
        """See `Pointers`."""
        self._document = self._newest()

    def namespaces(self) -> list[str]:
        """See `Pointers`."""
        return sorted(self._now.tables)

    def directory(self, namespace: str) -> str:
        """See `Pointers`. After a drop it is another one: who deletes the old files cannot meet new ones."""
        dropped = self._now.dropped.get(namespace)
        return namespace if dropped is None else f"{namespace}.{dropped}"

    def location(self, namespace: str, table: str) -> str | None:
        """See `Pointers`."""
        found = self._now.tables.get(namespace, {}).get(table)
        return None if found is None else f"{self._recorded}/{found}"

    def move(self, namespace: str, table: str, before: str | None, after: str) -> bool:
        """See `Pointers`; only inside `together`."""
        if self.location(namespace, table) != before:
            return False
        self._open.tables.setdefault(namespace, {})[table] = after.removeprefix(f"{self._recorded}/")
        return True

    def forget(self, namespace: str) -> None:
        """See `Pointers`."""
        with self.together():
            self._open.tables.pop(namespace, None)
            self._open.dropped[namespace] = self._open.number

    def older(self, keep: int, horizon: int) -> tuple[list[int], list[int]]:
        """Numbers of the commits before this one that are to be kept, and of those that are not.

        Args:
            keep: So many of the last are, this one included,
            horizon: and all that were the newest at some time after this one, in nanoseconds since 1970.
        """
        known = [(number, file.modified_ns) for number, file in self._numbered() if number <= self._document.number]
        before = sum(modified_ns <= horizon for _, modified_ns in known)
        first = max(0, min(len(known) - keep, before - 1))
        numbers = [number for number, _ in known]
        return [one for one in numbers[first:] if one != self._document.number], numbers[:first]

    def tables_at(self, number: int) -> list[tuple[str, str, str]]:
        """Namespace, table and URI of the metadata of all tables of a commit."""
        tables = self._read(number).tables
        return [
            (space, name, f"{self._recorded}/{at}") for space, found in tables.items() for name, at in found.items()
        ]

    @property
    def _now(self) -> Document:
        return self._local.next or self._document

    @property
    def _open(self) -> Document:
        if self._local.next is None:
            raise RuntimeError("a table of a catalog at a URL is changed inside `together`")
        return self._local.next

    def _newest(self) -> Document:
        found = self._numbered()
        return self._read(found[-1][0]) if found else Document()

    def _numbered(self) -> list[tuple[int, FileInfo]]:
        """The commits that are there, by number."""
        try:
            files = self._mirror.storage.expand([f"{self._mirror.url}/{FOLDER}/*.json"])
        except MissingError:
            return []
        return sorted(
            ((int(found[1]), file) for file in files if (found := _NAME.fullmatch(file.name))), key=lambda one: one[0]
        )

    def _commit(self, document: Document) -> None:
        """Write the commit.

        What is pruned leaves numbers free that were taken: so it is not enough that this one is.
        """
        if any(number >= document.number for number, _ in self._numbered()):
            raise Overtaken(_overtaken(self._mirror.url))
        try:
            created = self._mirror.storage.create(self._url(document.number), msgspec.json.encode(document))
        except StorageError as error:
            created = self._arrived(document, error)
        if not created and self._read(document.number).key != document.key:
            raise Overtaken(_overtaken(self._mirror.url))

    def _arrived(self, document: Document, error: StorageError) -> bool:
        """Whether a commit is there whose writing ended with an error, such as no answer."""
        try:
            return self._read(document.number).key == document.key
        except MissingError:
            raise error from None
        except StorageError:
            raise StorageError(
                f"{error}; whether the catalog has the new state is not known: run the command again"
            ) from error

    def _read(self, number: int) -> Document:
        url = self._url(number)
        with self._mirror.storage.open(url) as file:
            content = file.read()
        try:
            return msgspec.json.decode(content, type=Document)
        except msgspec.DecodeError as error:
            raise CatalogError(f"{url} is no commit of a catalog: {error}; restore it, or use another URL") from error

    def _url(self, number: int) -> str:
        return f"{self._mirror.url}/{commit_name(number)}"


def _overtaken(url: str) -> str:
    return f"{url} was changed by other programs meanwhile; run the command again"


class _Local(threading.local):
    """The commit that this thread has begun."""

    next: Document | None = None


def until_first(refresh: Callable[[], None], call: Callable[[], _Result]) -> _Result:
    """Call again after a look at what others have committed, as long as they are faster.

    Raises:
        Overtaken: They always were.
    """
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

    first, longest = _PAUSES
    attempts = Retrying(
        retry=retry_if_exception_type(Overtaken),
        wait=pauses(first, longest),
        stop=stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )

    def look_and_call() -> _Result:
        refresh()
        return call()

    return attempts(look_and_call)
