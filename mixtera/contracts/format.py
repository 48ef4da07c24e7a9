"""Format: how samples lie in a file. A format indexes files and reads chosen samples of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, Storage

Int64s: TypeAlias = npt.NDArray[np.int64]
Offsets: TypeAlias = Literal["always", "exact", "never"]
"""Whether a scan gives the bytes of a record. `always`: a byte may follow each record, its line end, and is read along;
`exact`: records lie back to back, and nothing is read along."""


@dataclass(frozen=True, slots=True)
class PropertyColumn:
    """A property as a format extracts it: its name, the dotted path into the record, its type."""

    name: str
    path: str
    type: PropertyType


@dataclass(frozen=True, slots=True)
class ContentColumn:
    """A content column: the name it is delivered under and the dotted path into the record."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class BadSample:
    """A record that cannot be used.

    Attributes:
        row: Row of the record in its file, from 0 (line number − 1 for line formats).
        offset: Byte offset, −1 where the format has none.
        reason: What is wrong, in one line.
        excerpt: The first bytes of the record, at most 80, decoded with replacement; for formats of columns the
            beginning of the values that were read of it, as JSON.
    """

    row: int
    offset: int
    reason: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class ScanBatch:
    """A piece of a file's index.

    Attributes:
        table: Columns `row` int64 (ascending), `offset` int64 and `length` int64 (bytes of the record as stored,
            without its line end; NULL where the format has none), then one column per property, of its type.
        bad: Records of this piece that cannot be used; they are not in `table`.
        bytes_read: Bytes of the file behind this piece, for progress.
    """

    table: pa.RecordBatch
    bad: tuple[BadSample, ...] = ()
    bytes_read: int = 0


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of one file's inside after it was scanned.

    Attributes:
        rows: Rows in the file, bad ones and blank lines included: row numbers lie below it.
        group_rows: Rows of each unit that can only be read as a whole (a Parquet row group, the records that begin in
            one frame of a compressed file, or the whole file for compression without random access); empty where every
            record can be read alone.
        content_bytes: Bytes of records after decompression; 0 where unknown.
        frames: Where a compressed file can be entered, for a format that is `Framed`: byte in the file and byte in its
            decompressed content, one pair after the other, ascending; the last pair is both ends. Empty where a file
            is not compressed, or can only be decompressed from its beginning.
    """

    rows: int
    group_rows: tuple[int, ...] = ()
    content_bytes: int = 0
    frames: tuple[int, ...] = ()


@runtime_checkable
class Scan(Protocol):
    """The scan of one file: iterate it to the end, then ask for `facts`."""

    def __iter__(self) -> Iterator[ScanBatch]:
        """Pieces of the index, in row order, each of bounded size."""

    def facts(self) -> FileFacts:
        """What the scan found; valid after the last piece."""


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Samples of one file to be read.

    Attributes:
        rows: Row numbers, ascending, each once.
        starts: Byte offset of each record, ascending; empty for formats without offsets.
        stops: Byte after each record, its line end included where it has one; empty likewise.
    """

    rows: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    stops: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


@runtime_checkable
class SampleReader(Protocol):
    """Reads chosen samples of one open file. Lives in one process and one thread at a time."""

    def read(self, request: ReadRequest) -> pa.RecordBatch:
        """The content columns of the samples, in the order of the request.

        Raises:
            SampleError: A record cannot be read; names file, row and reason.
            StorageError: The file cannot be read.
        """

    @property
    def held_bytes(self) -> int:
        """Bytes of memory that the reader keeps for later requests (decoded row groups)."""

    @property
    def spooled_bytes(self) -> int:
        """Bytes of temporary disk that the reader keeps for later requests (a decompressed copy)."""

    def close(self) -> None:
        """Release the file and what is kept."""


@runtime_checkable
class ExpectingReader(Protocol):
    """A sample reader that can be told what it will be asked for, where its storage fetches that in the meantime."""

    def expect(self, request: ReadRequest) -> None:
        """Begin to fetch what a `read` of this request needs, and return.

        Raises:
            StorageError: The file is closed, or not the one that was indexed.
        """


@runtime_checkable
class UnpackingReader(Protocol):
    """A sample reader of a compressed file that can leave to another thread to decompress what it will be asked for."""

    def unpack(self, request: ReadRequest, unpacker: Executor, most_bytes: int) -> int:
        """Give a thread what a `read` of this request needs, as far as it pays, and return.

        Args:
            request: What will be read soon. It is harmless if it is not.
            unpacker: One thread, which does one thing after the other.
            most_bytes: Decompressed bytes that it may be given.

        Returns:
            Those that it was given.

        Raises:
            StorageError: The file is closed.
        """


@runtime_checkable
class TokenReader(SampleReader, Protocol):
    """A sample reader of a file of token ids, which can also read parts of documents."""

    @property
    def token_bytes(self) -> int:
        """Bytes of a token in the file: token i of a document begins at its offset + i × `token_bytes`."""

    def tokens(self, starts: Int64s, stops: Int64s) -> npt.NDArray[np.int32]:
        """The tokens of some ranges, one range after the other, in one array, which may be read-only.

        Args:
            starts: First byte in the file of each range; in any order, and ranges may repeat or overlap.
            stops: Byte after the last of each; each range is a whole number of tokens.

        Raises:
            SampleError: A token has no place in 32 bits.
            StorageError: The file cannot be read, or a range is none of whole tokens.
        """


@runtime_checkable
class PlacingReader(Protocol):
    """A `TokenReader` that can read tokens as they are stored to where they are wanted, among those of other files."""

    def stored_type(self) -> np.dtype[np.integer] | None:
        """The type that the tokens are stored in; None if not every value of it is a token, which `tokens` checks."""

    def place(self, target: npt.NDArray[np.uint8], places: Int64s, starts: Int64s, stops: Int64s) -> None:
        """Read some ranges to their places in memory.

        Args:
            target: The memory.
            places: Where in it each range begins.
            starts: First byte in the file of each range; in any order, and ranges may repeat or overlap.
            stops: Byte after the last of each; each range is a whole number of tokens.

        Raises:
            StorageError: The file cannot be read, or a range is none of whole tokens.
        """


@runtime_checkable
class TokenFormat(Protocol):
    """A format of files of token ids: its readers are `TokenReader`s, and their content is no text."""

    holds_tokens: Literal[True]


@runtime_checkable
class Accompanied(Protocol):
    """A format of files with others beside them that say where their samples are: when one changes, so do these."""

    def beside(self, path: str) -> str | None:
        """Where the file beside a file lies.

        Args:
            path: A path or URL, or a pattern of these: then the result is the pattern of the files beside them.

        Returns:
            Its path, URL or pattern; None where there is none, or the pattern does not tell.
        """


@runtime_checkable
class Configurable(Protocol):
    """A format that can be told more of its files than its name says, as in `{name: tokens, dtype: uint16}`."""

    def configured(self, options: Mapping[str, str]) -> Format:
        """The format with these options.

        Raises:
            PluginError: An option is unknown, or its value is not allowed; names what is.
        """


@runtime_checkable
class Format(Protocol):
    """One file format. Instances are cheap and hold no file."""

    name: str
    suffixes: tuple[str, ...]
    offsets: Offsets

    def infer(
        self, storage: Storage, files: Sequence[FileInfo], paths: Mapping[str, str]
    ) -> dict[str, PropertyType | None]:
        """Guess the type of each property (name → dotted path) from the head of some files.

        Returns:
            Name → type; None where no record looked at has a value.
        """

    def scan(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> Scan:
        """Read the index of one file: every record is checked to have its content and properties of the right type.

        Missing and null properties are NULL; NaN becomes NULL; a NULL list becomes an empty one, and NULL elements of
        a list are dropped, so that all engines agree.

        Raises:
            SampleError: The file as a whole is not of this format (cut short, not Parquet, not compressed as named).
            StorageError: It cannot be read.
        """

    def reader(
        self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn], cache_bytes: int
    ) -> SampleReader:
        """Open a file for reading chosen samples; what is kept between requests stays below `cache_bytes` if it can."""

    def read(self, requests: Iterable[tuple[SampleReader, ReadRequest]]) -> pa.RecordBatch:
        """Samples of several files, one request after the other; what a call costs is paid once for all of them.

        Args:
            requests: Readers of this format with the same content columns, and what is asked of each; at least one. A
                reader is not used after the next one is taken.

        Raises:
            SampleError: A record cannot be read; names file, row and reason.
            StorageError: A file cannot be read.
        """


@runtime_checkable
class Staged(Protocol):
    """A format that can leave the decoding of what it has read to another thread, and read on meanwhile."""

    def load(
        self, requests: Iterable[tuple[SampleReader, ReadRequest]], decoder: Executor
    ) -> Callable[[], pa.RecordBatch]:
        """Read what `Format.read` reads.

        Args:
            requests: As for `Format.read`.
            decoder: One thread, which does one thing after the other.

        Returns:
            What gives the samples, and raises what concerns them: to be called once, by the decoder's thread or after
            it is done with what it was given.

        Raises:
            StorageError: A file cannot be read.
        """


@runtime_checkable
class Framed(Protocol):
    """A format that reads compressed files frame by frame, by the `frames` that its scan has found."""

    def framed_reader(
        self,
        storage: Storage,
        file: FileInfo,
        content: Sequence[ContentColumn],
        cache_bytes: int,
        frames: npt.NDArray[np.int64],
    ) -> SampleReader:
        """Open a file as `Format.reader` does, and decompress only what is needed of it.

        Args:
            storage: Where it lies.
            file: The file.
            content: Content columns.
            cache_bytes: What is kept between requests stays below it if it can.
            frames: [n + 1, 2] the pairs of `FileFacts.frames`.
        """


@runtime_checkable
class Summarising(Protocol):
    """A format whose files say themselves what a scan finds of them as a whole, without a record being read."""

    def summary(self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn]) -> FileFacts:
        """The facts that a scan of the file gives.

        Raises:
            SampleError: The file as a whole is not of this format, or has no such content.
            StorageError: It cannot be read.
        """


@runtime_checkable
class Placed(Protocol):
    """A format of lines whose records can be read by first byte and length alone, whoever says them."""

    def check_placed(self, storage: Storage, file: FileInfo) -> None:
        """Refuse a file of which that is not so.

        Raises:
            SampleError: It is compressed.
            StorageError: It cannot be read.
        """
