"""The index of a Megatron dataset: a head, the lengths and places of sequences, and where documents end.

Layout, all little-endian (Megatron-LM, megatron/core/datasets/indexed_dataset.py): 9 bytes `MMIDIDX`, NUL, NUL; version
1 as uint64; code of the tokens' type as uint8; S, the number of sequences, and D, of document ends, as uint64; then
lengths of sequences in tokens, int32 [S]; their first bytes, int64 [S]; document ends counted in sequences, int64 [D],
of which the first is 0; for multimodal data the mode of each sequence, int8 [S].
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtera.contracts.format import Int64s
from mixtera.contracts.storage import FileInfo, RandomAccess, Storage
from mixtera.errors import SampleError, StorageError
from mixtera.formats.tokenfiles.ids import TokenType, token_type
from mixtera.links import parted

MAGIC: Final = b"MMIDIDX\x00\x00"
_HEAD: Final = struct.Struct("<9sQBQQ")
_TYPES: Final = ("uint8", "int8", "int16", "int32", "int64", "float64", "float32", "uint16")
"""By code, from 1."""
_DATA, _INDEX = ".bin", ".idx"


class MegatronIndex:
    """The open index of a `.bin` file; nothing of it is kept in memory.

    Args:
        storage: Where both lie.
        file: The `.bin` file.

    Raises:
        SampleError: It is no index, or none of token ids.
        StorageError: It cannot be read.
    """

    def __init__(self, storage: Storage, file: FileInfo) -> None:
        self.url = index_of(file)
        self._access = _opened(storage, file, self.url)
        try:
            self._read_head()
        except Exception:
            self.close()
            raise

    def lengths(self, first: int, last: int) -> Int64s:
        """Tokens of the sequences [first, last)."""
        return self._values(_HEAD.size, "<i4", first, last)

    def pointers(self, first: int, last: int) -> Int64s:
        """First bytes of the sequences [first, last)."""
        return self._values(_HEAD.size + 4 * self.sequences, "<i8", first, last)

    def ends(self, first: int, last: int) -> Int64s:
        """Entries [first, last) of the list of document ends."""
        return self._values(_HEAD.size + 12 * self.sequences, "<i8", first, last)

    def modes(self, first: int, last: int) -> Int64s | None:
        """Modes of the sequences [first, last); None if there are none."""
        return self._values(self._modes, "<i1", first, last) if self._modes else None

    def close(self) -> None:
        """Release the file."""
        self._access.close()

    def _read_head(self) -> None:
        size = self._access.size
        head = self._bytes(0, min(size, _HEAD.size)).tobytes()
        if not head.startswith(MAGIC):
            raise SampleError(f"{self.url} is no index of a Megatron dataset: it does not begin with MMIDIDX")
        if len(head) < _HEAD.size:
            raise SampleError(f"{self.url} is cut short: an index has at least {_HEAD.size} bytes, it has {size}")
        _, version, code, self.sequences, self.document_ends = _HEAD.unpack(head)
        if version != 1:
            raise SampleError(f"{self.url} is an index of version {version}; only version 1 can be read")
        self.kind: TokenType = self._kind(code)
        expected = _HEAD.size + 12 * self.sequences + 8 * self.document_ends
        self._modes = expected if self.sequences and size == expected + self.sequences else 0
        if size < expected:
            raise SampleError(
                f"{self.url} is cut short: {self.sequences:,} sequences and {self.document_ends:,} document ends need "
                f"{expected:,} bytes, it has {size:,}; copy or write it again"
            )
        if size > expected and not self._modes:
            raise SampleError(
                f"{self.url} has {size - expected:,} bytes behind its end, and a mode for each of its "
                f"{self.sequences:,} sequences would be {self.sequences:,}: it is damaged; write it again"
            )

    def _kind(self, code: int) -> TokenType:
        if not 1 <= code <= len(_TYPES):
            raise SampleError(f"{self.url}: code {code} is no type that Megatron knows (1 to {len(_TYPES)})")
        name = _TYPES[code - 1]
        if name.startswith("float"):
            raise SampleError(f"{self.url}: the dataset holds {name}, and token ids are integers")
        return token_type(name)

    def _values(self, start: int, kind: str, first: int, last: int) -> Int64s:
        width = np.dtype(kind).itemsize
        return self._bytes(start + first * width, start + last * width).view(kind).astype(np.int64)

    def _bytes(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        if start == stop:
            return np.empty(0, np.uint8)
        found = self._access.gather(np.array([start]), np.array([stop]))
        return np.frombuffer(found[0].as_buffer(), np.uint8)


def beside(path: str) -> str | None:
    """The index of a `.bin` file, or the pattern of those of a pattern; None where it is none."""
    before, link, after = parted(path)
    return f"{before}{link.removesuffix(_DATA)}{_INDEX}{after}" if link.endswith(_DATA) else None


def index_of(file: FileInfo) -> str:
    """Where the index of a `.bin` file lies.

    Raises:
        SampleError: It is no `.bin` file.
    """
    if (found := beside(file.url)) is not None:
        return found
    if parted(file.url)[1].endswith(_INDEX):
        raise SampleError(
            f"{file.url} is the index of a Megatron dataset: let `path` name the {_DATA} files only, such as *{_DATA}; "
            "the index of each is found beside it"
        )
    raise SampleError(f"{file.url}: a Megatron dataset is a file X{_DATA} with its index X{_INDEX} beside it")


def _opened(storage: Storage, file: FileInfo, url: str) -> RandomAccess:
    try:
        return storage.random_access(url)
    except StorageError as error:
        raise StorageError(
            f"{file.url}: its index cannot be opened ({error}): a Megatron dataset is X{_DATA} with X{_INDEX} beside "
            "it; for raw token ids write `format: {name: tokens, dtype: uint16}`, with their type"
        ) from error
