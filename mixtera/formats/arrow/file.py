"""An open Arrow file: its record batches by number, with errors that name it."""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.ipc as ipc

from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import MixteraError, SampleError, StorageError
from mixtera.formats.arrow.blocks import STREAM_MARK, Block, BrokenLayout, layout_of
from mixtera.formats.columnar.schema import Column
from mixtera.formats.opening import changed, open_unchanged

_END = STREAM_MARK + bytes(4)


@contextmanager
def arrow_errors(file: FileInfo) -> Iterator[None]:
    """Turn what pyarrow raises for a broken file into an error that names it."""
    try:
        yield
    except MixteraError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise StorageError(f"{file.url} cannot be read: {error.strerror}") from error
        raise _broken(file, error) from error
    except (pa.ArrowException, BrokenLayout, UnicodeDecodeError) as error:
        raise _broken(file, error) from error


def _broken(file: FileInfo, error: Exception) -> SampleError:
    reason = str(error).rstrip(".")
    return SampleError(f"{file.url} is no whole Arrow file: {reason}; copy or write it again")


class ArrowFile:
    """An Arrow file or stream. A file with a descriptor is mapped into memory; others are read batch by batch.

    Raises:
        SampleError: It is not Arrow, or not whole.
        StorageError: It cannot be read.
    """

    def __init__(self, storage: Storage, file: FileInfo) -> None:
        self._info = file
        self._source: BinaryIO | None = open_unchanged(storage, file)
        try:
            self.map = _mapped(self._source, file.size)
            self.buffer = None if self.map is None else pa.py_buffer(self.map)
            self._native = pa.PythonFile(self._source, "r") if self.map is None else pa.BufferReader(self.buffer)
            with arrow_errors(file):
                self.layout = layout_of(self._native, file.size)
                self.schema: pa.Schema = self._schema()
                self._columns: list[str] = self.schema.names
        except BaseException:
            self._source.close()
            raise
        self.sliceable = self.map is not None and not any(block.compressed for block in self.layout.batches)
        self._reader: ipc.RecordBatchFileReader | None = None

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._info.size

    @property
    def batches(self) -> tuple[Block, ...]:
        """The record batches."""
        return self.layout.batches

    def choose(self, columns: Sequence[Column]) -> None:
        """Decode the top-level columns that these are part of, and no others."""
        chosen = {column.keys[0] for column in columns}
        self._columns = [name for name in self.schema.names if name in chosen]
        self._reader = None

    def batch(self, number: int) -> pa.RecordBatch:
        """A record batch, with the chosen columns; a view of the file where it is `sliceable`."""
        self.check()
        with arrow_errors(self._info):
            found = self._of_stream(number) if self.layout.stream else self._of_file(number)
            if found.num_rows != self.batches[number].rows:
                raise BrokenLayout("its metadata are damaged")
            return found

    def check(self) -> None:
        """See that the file still has its size: what is mapped and cut off would end the process.

        Raises:
            StorageError: It is closed, or has another size.
        """
        if self._source is None:
            raise StorageError(f"{self._info.url} is closed")
        if self.map is not None:
            size = os.fstat(self._source.fileno()).st_size
            if size != self._info.size:
                raise changed(self._info, size)

    def forget(self) -> None:
        """Let go of the pages that were read through the map; they are read again when they are needed."""
        mapped = self.map  # another thread may close the file meanwhile
        if mapped is not None:
            mapped.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Release the file. Batches that are views of it keep the map until they are gone."""
        if self._source is not None:
            self._source.close()
        self._source = self._reader = self.map = self.buffer = None
        self._native = pa.BufferReader(b"")

    def _options(self) -> ipc.IpcReadOptions:
        fields = [self.schema.get_field_index(name) for name in self._columns]
        return ipc.IpcReadOptions(use_threads=False, included_fields=fields)

    def _schema(self) -> pa.Schema:
        if self.layout.stream:
            self._native.seek(0)
            return ipc.read_schema(self._native)
        return ipc.open_file(self._native).schema

    def _of_file(self, number: int) -> pa.RecordBatch:
        if self._reader is None:
            # pyarrow copies what it reads of some of the columns; of a map, all of them cost nothing
            self._reader = ipc.open_file(self._native, options=None if self.sliceable else self._options())
        return self._reader.get_batch(number).select(self._columns)

    def _of_stream(self, number: int) -> pa.RecordBatch:
        block = self.batches[number]
        if not self.layout.dictionaries and not block.compressed:
            return ipc.read_record_batch(self._piece(block), self.schema).select(self._columns)
        before = [found for count, found in self.layout.dictionaries if count <= number]
        pieces = [self._piece(part) for part in (self.layout.head, *before, block)]
        with ipc.open_stream(b"".join([*pieces, _END]), options=self._options()) as stream:
            return stream.read_next_batch()

    def _piece(self, block: Block) -> pa.Buffer:
        self._native.seek(block.start)
        return self._native.read_buffer(block.stop - block.start)


def _mapped(source: BinaryIO, size: int) -> mmap.mmap | None:
    """The file as memory; None where it has no descriptor, or nothing in it."""
    try:
        return mmap.mmap(source.fileno(), size, access=mmap.ACCESS_READ) if size else None
    except (io.UnsupportedOperation, AttributeError, OSError):
        return None
