"""A column of texts as bytes and edges: what every tokenizer begins with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.errors import TokenizerError


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """The rows of a column, NULL as the empty text.

    Attributes:
        data: [bytes] uint8: all rows, one after the other; a view of the column where it has no NULL.
        offsets: [rows + 1] int64: row `i` is `data[offsets[i]:offsets[i + 1]]`.
        first: Where these are parts of a column's rows: which part each row begins with, for messages; else None.
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64] | None = None

    @classmethod
    def of(cls, column: pa.Array) -> Texts:
        """The texts of an Arrow column.

        Args:
            column: Strings or bytes of any of Arrow's types for them, also as a dictionary; or nothing but NULL.

        Raises:
            TokenizerError: It holds something else.
        """
        plain = _plain(column)
        _, edges, data = plain.buffers()
        wide = pa.types.is_large_string(plain.type) or pa.types.is_large_binary(plain.type)
        if not len(plain) or data is None:
            return cls(np.empty(0, np.uint8), np.zeros(len(plain) + 1, np.int64))
        kind = np.dtype(np.int64 if wide else np.int32)
        offsets = np.frombuffer(edges, kind, len(plain) + 1, plain.offset * kind.itemsize).astype(np.int64)
        first, last = int(offsets[0]), int(offsets[-1])
        return cls(np.frombuffer(data, np.uint8, last - first, first), offsets - first)

    def __len__(self) -> int:
        """Rows."""
        return len(self.offsets) - 1

    def groups(self, most_bytes: int) -> Iterator[tuple[int, int]]:
        """Rows in groups, half-open, of at most that many bytes; a longer row is a group of its own."""
        start = 0
        while start < len(self):
            stop = int(np.searchsorted(self.offsets, self.offsets[start] + most_bytes, "right")) - 1
            stop = min(max(stop, start + 1), len(self))
            yield start, stop
            start = stop

    def strings(self, start: int, stop: int) -> list[str]:
        """Rows as Python strings.

        Raises:
            TokenizerError: A row is not UTF-8; the message names it and the byte.
        """
        view = self.data.data
        edges = pairwise(self.offsets[start : stop + 1].tolist())
        texts: list[str] = []
        try:
            texts.extend(str(view[first:last], "utf-8") for first, last in edges)
        except UnicodeDecodeError as error:
            row, before, length = self._place(start + len(texts))
            raise TokenizerError(
                f"row {row} of the column is not UTF-8: {error.reason} at byte {before + error.start:,} of {length:,}; "
                "leave such rows out with `filter`, mend the data, or use the tokenizer `bytes`"
            ) from error
        return texts

    def _place(self, part: int) -> tuple[int, int, int]:
        """The row of a part, the bytes of the row before it, and those of the whole row."""
        first = np.arange(len(self) + 1) if self.first is None else self.first
        row = int(np.searchsorted(first, part, "right")) - 1
        begin, end = self.offsets[first[row]], self.offsets[first[row + 1]]
        return row, int(self.offsets[part] - begin), int(end - begin)


def _plain(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.large_string()).fill_null("")
    if pa.types.is_dictionary(kind):
        return _plain(column.dictionary_decode())
    if pa.types.is_string_view(kind):
        return _plain(column.cast(pa.large_string()))
    if pa.types.is_binary_view(kind):
        return _plain(column.cast(pa.large_binary()))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.fill_null("") if column.null_count else column
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return column.fill_null(b"") if column.null_count else column
    raise TokenizerError(
        f"a column of type {kind} cannot be tokenized; strings and bytes can: name another content field"
    )
