"""Open files of one reader: bounded in number and in bytes kept, checked against the plan when opened."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from functools import cache
from itertools import islice
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from mixtera.arrow import to_numpy
from mixtera.artifact.model import PlanData
from mixtera.contracts.format import (
    Accompanied,
    ContentColumn,
    ExpectingReader,
    Format,
    Framed,
    ReadRequest,
    SampleReader,
    UnpackingReader,
)
from mixtera.contracts.storage import FileInfo, Storage, StorageOptions, Stretching
from mixtera.errors import StorageError
from mixtera.formats.spool import SpoolFullError
from mixtera.formats.temporary import spool_bytes
from mixtera.registry import format_named, storage_of, storage_of_file
from mixtera.stream.stretches import Stretches

OPEN_FILES: Final = 64
UNPACK_BYTES: Final = 8 << 20
"""Decompressed bytes that another thread is given in advance: until it is at them, they wait compressed in memory."""


class Readers:
    """The sample readers of a plan's files, opened when first asked for; the longest unused are closed."""

    def __init__(
        self, data: PlanData, columns: Sequence[str], cache_bytes: int, stretches: Stretches | None = None
    ) -> None:
        self._data, self._stretches = data, stretches
        self._columns = frozenset(columns)
        self._cache_bytes = cache_bytes
        self._spool_bytes = spool_bytes()
        self._options = storage_options(data)
        self._waits: dict[int, bool] = {}
        self._open: OrderedDict[int, SampleReader] = OrderedDict()
        self._counted: dict[int, tuple[int, int]] = {}

    def get(self, file: int) -> SampleReader:
        """The reader of a file of the plan (its index).

        Raises:
            StorageError: The file is gone, or not the one that was indexed.
        """
        reader = self._open.get(file)
        if reader is None:
            try:
                reader = self._opened(file)
            except SpoolFullError:
                self.close()  # what of it is in use here makes room, where that is enough
                reader = self._opened(file)
            self._open[file] = reader
        self._open.move_to_end(file)
        return reader

    def opened(self, requests: Iterable[tuple[int, ReadRequest]]) -> Iterator[tuple[SampleReader, ReadRequest]]:
        """Requests with the readers of their files; a reader may be closed once the next one is taken."""
        for file, request in requests:
            yield self.get(file), request
            self.trim()

    def expect(self, requests: Iterable[tuple[int, ReadRequest]]) -> None:
        """Begin to fetch what requests need, of as many files as can be open, where their storages do so."""
        for file, request in islice(requests, OPEN_FILES):
            if self.is_far(file) and isinstance(reader := self.get(file), ExpectingReader):
                reader.expect(request)

    def unpack(self, requests: Iterable[tuple[int, ReadRequest]], unpacker: Executor) -> None:
        """Let another thread decompress what requests need of near files that are open, up to `UNPACK_BYTES`.

        Raises:
            StorageError: A file cannot be read.
        """
        left = UNPACK_BYTES
        for file, request in requests:
            reader: object = self._open.get(file)
            if isinstance(reader, UnpackingReader) and not self.is_far(file):
                left -= reader.unpack(request, unpacker, left)

    def is_far(self, file: int) -> bool:
        """Whether the storage of a file serves several requests at a time better than one after the other."""
        far = self._waits.get(file)
        if far is None:
            url = self._data.files.column("url")[file].as_py()
            far = self._waits[file] = storage_of(url, self._options).profile().concurrency > 1
        return far

    def trim(self) -> None:
        """Close the longest unused files until what is left is within bounds; the last used one stays.

        Only reading makes a reader hold more: where the last used one holds what it held, nobody has to be asked.
        """
        if not self._open:
            return
        last = next(reversed(self._open))
        now = self._open[last].held_bytes, self._open[last].spooled_bytes
        if len(self._open) <= OPEN_FILES and self._counted.get(last) == now:
            return
        self._counted[last] = now
        held = sum(reader.held_bytes for reader in self._open.values())
        spooled = sum(reader.spooled_bytes for reader in self._open.values())
        while len(self._open) > 1 and (
            len(self._open) > OPEN_FILES or held > self._cache_bytes or spooled > self._spool_bytes
        ):
            file, reader = self._open.popitem(last=False)
            self._counted.pop(file, None)
            held, spooled = held - reader.held_bytes, spooled - reader.spooled_bytes
            reader.close()

    def close(self) -> None:
        """Close all files."""
        self._counted.clear()
        while self._open:
            self._open.popitem()[1].close()

    def _opened(self, file: int) -> SampleReader:
        source = self._data.sources[self._data.files.column("source")[file].as_py()]
        info = file_info(self._data, file)
        storage = storage_of_file(info, self._options)
        if storage is storage_of(
            info.url, self._options
        ):  # not pinned: what every read checks need not be asked before
            check_unchanged(storage, info, source.name)
        if self._stretches is not None and _can_stretch(type(storage)):
            starts, stops = self._stretches.of(file, storage.profile())
            storage = cast(Stretching, storage).stretched(starts, stops, self._stretches.alone)
        plugin, frames = format_named(source.format), frames_of(self._data, file)
        check_beside(storage_of(info.url, self._options), plugin, info, source.name)
        content = [ContentColumn(name, path) for name, path in source.content if name in self._columns]
        if len(frames) and isinstance(plugin, Framed):
            return plugin.framed_reader(storage, info, content, self._cache_bytes, frames)
        return plugin.reader(storage, info, content, self._cache_bytes)


@cache
def _can_stretch(kind: type) -> bool:
    """Whether a class of storages is `Stretching`: asked of each file, it would take as long as to open one."""
    return issubclass(kind, Stretching)


def frames_of(data: PlanData, file: int) -> npt.NDArray[np.int64]:
    """[n, 2] where a compressed file of a plan can be entered: byte in the file, byte of its content."""
    if not len(data.frames):
        return np.empty((0, 2), np.int64)
    first, stop = np.searchsorted(to_numpy(data.frames.column("file")), [file, file + 1]).tolist()
    part = data.frames.slice(first, stop - first)
    return np.stack([to_numpy(part.column(name)) for name in ("packed", "plain")], axis=1).astype(np.int64)


def storage_options(data: PlanData) -> StorageOptions:
    """What the spec of a plan says of storages."""
    known = data.facts.get("storage", {})
    return tuple((name, tuple(options.items())) for name, options in known.items())


def file_info(data: PlanData, file: int) -> FileInfo:
    """A file of a plan as it was indexed."""
    fields = ("url", "name", "size", "modified_ns", "etag")
    url, name, size, modified_ns, etag = (data.files.column(field)[file].as_py() for field in fields)
    source = data.sources[data.files.column("source")[file].as_py()].name
    moved = not (modified_ns or etag)  # a copy, which has other times: see `mixtera.artifact.remap`
    beside = "" if moved else data.facts.get("beside", {}).get(source, {}).get(name, "")
    return FileInfo(url, name, size, modified_ns, etag or "", beside)


def check_beside(storage: Storage, plugin: Format, indexed: FileInfo, source: str) -> None:
    """Compare the file that says where the samples of a file are with what was indexed.

    Raises:
        StorageError: It is gone, or another one.
    """
    if not indexed.beside or not isinstance(plugin, Accompanied):
        return
    place = plugin.beside(indexed.url)
    found = "" if place is None else storage.stat(place).mark
    if found != indexed.beside:
        raise StorageError(
            f"source {source!r}: {place}, which says where the samples of {indexed.url} are, changed since it was "
            f"indexed ({found}, was {indexed.beside}); run `mixtera index` and compile again"
        )


def check_unchanged(storage: Storage, indexed: FileInfo, source: str) -> None:
    """Compare a file with what was indexed: its size, and the time of its last change where that is known.

    Raises:
        StorageError: It is gone, or another one.
    """
    try:
        found = storage.stat(indexed.url)
    except StorageError as error:
        raise StorageError(
            f"source {source!r}: cannot read {indexed.url}: {error}. If the data lies elsewhere on this machine, "
            f'open the plan with Plan.open(…, remap={{"old prefix": "new prefix"}})'
        ) from error
    changes = []
    if found.size != indexed.size:
        changes.append(f"{found.size} bytes, were {indexed.size}")
    if indexed.modified_ns and found.modified_ns and found.modified_ns != indexed.modified_ns:
        changes.append("modified since")
    if indexed.etag and found.etag and found.etag != indexed.etag and not changes:
        changes.append("its etag is another one")
    if changes:
        raise StorageError(
            f"source {source!r}: {indexed.url} changed since it was indexed ({', '.join(changes)}); "
            "run `mixtera index` and compile again"
        )
