"""The laws of a format of token ids: those of every format, and those of its `TokenReader`."""

# ruff: noqa: D102 - the name of a law says what it is

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest

from mixtera.contracts.format import ContentColumn, Int64s, PlacingReader, PropertyColumn, TokenReader
from mixtera.contracts.storage import FileInfo, RandomAccess
from mixtera.errors import MixteraError
from mixtera.registry import storage_of
from mixtera.testing.format import FormatLaws, Record

_LONGEST = 700
_NO_OBJECTS = "a document is tokens and nothing else"


class PlainAccess:
    """An open file that only does what `RandomAccess` promises: ranges ascend and do not overlap."""

    def __init__(self, access: RandomAccess) -> None:
        self._access = access
        self.size = access.size
        self.gathers = 0

    def gather(self, starts: Int64s, stops: Int64s) -> pa.LargeBinaryArray:
        assert bool((stops[:-1] <= starts[1:]).all()), "ranges go back, or overlap"
        self.gathers += 1
        return self._access.gather(starts, stops)

    def close(self) -> None:
        self._access.close()


class PlainStorage:
    """The local storage, which opens files as `PlainAccess`."""

    def __init__(self, path: Path) -> None:
        self._storage = storage_of(str(path))
        self.opened: dict[str, PlainAccess] = {}

    def random_access(self, url: str) -> PlainAccess:
        self.opened[url] = PlainAccess(self._storage.random_access(url))
        return self.opened[url]

    def __getattr__(self, name: str) -> object:
        return getattr(self._storage, name)


class TokenLaws(FormatLaws):
    """What every format of token ids must do. `write` gets records; `ids` are the tokens of each."""

    properties: ClassVar[tuple[PropertyColumn, ...]] = (PropertyColumn("token_count", "tokens", "int64"),)
    content: ClassVar[tuple[ContentColumn, ...]] = (ContentColumn("tokens", "tokens"),)
    content_type: ClassVar[pa.DataType] = pa.large_list(pa.int32())
    gaps: ClassVar = dict.fromkeys(
        [
            "test_an_object_cannot_be_a_property",
            "test_several_content_columns",
            "test_content_below_an_object",
            "test_records_without_content_are_named",
        ],
        _NO_OBJECTS,
    )

    def ids(self, record: Record) -> list[int]:
        """The tokens of a record: its text as UTF-8, at most 700, some none at all."""
        return list(str(record["text"]).encode()[: _LONGEST - _LONGEST // 2 * (len(str(record["title"])) % 3)])

    def delivered(self, record: Record) -> object:
        return self.ids(record)

    def expected(self, record: Record, column: PropertyColumn) -> object:
        return len(self.ids(record))

    def test_a_reader_is_a_token_reader(self, tmp_path: Path) -> None:
        reader = self._reader(self._written(tmp_path, self._records(50)))
        assert isinstance(reader, TokenReader)
        reader.close()

    @pytest.mark.parametrize("plain", [False, True])
    def test_parts_of_documents_are_read_in_any_order(self, tmp_path: Path, plain: bool) -> None:
        written = self._records(400)
        path = self._written(tmp_path, written)
        table = self._scan(path)[0]
        reader = self._opened(path, plain)
        random = np.random.default_rng(5)
        for size in (0, 1, 300):
            chosen = random.integers(0, len(written), size)
            ids = [self.ids(written[i]) for i in chosen]
            low, high = np.sort([[random.integers(0, len(found) + 1, 2)] for found in ids], axis=-1).reshape(-1, 2).T
            begin = table["offset"].to_numpy()[chosen]
            found = reader.tokens(begin + low * reader.token_bytes, begin + high * reader.token_bytes)
            assert found.dtype == np.int32
            assert found.tolist() == [t for one, a, b in zip(ids, low, high, strict=True) for t in one[a:b]]

    @pytest.mark.parametrize("plain", [False, True])
    def test_parts_of_documents_are_read_to_their_places(self, tmp_path: Path, plain: bool) -> None:
        written = self._records(200)
        path = self._written(tmp_path, written)
        table = self._scan(path)[0]
        reader = self._opened(path, plain)
        kind = reader.stored_type() if isinstance(reader, PlacingReader) else None
        if kind is None:
            pytest.skip("tokens are read as they are delivered alone")
        assert isinstance(reader, PlacingReader)
        random = np.random.default_rng(6)
        for chosen in (np.arange(0), np.arange(len(written)), random.integers(0, len(written), 300)):
            begin, length = (table[name].to_numpy()[chosen] for name in ("offset", "length"))
            order = random.permutation(len(chosen)) if len(chosen) != len(written) else chosen
            places = np.empty(len(chosen), np.int64)
            places[order] = np.cumsum(length[order]) - length[order]
            target = np.empty(int(length.sum()), np.uint8)
            reader.place(target, places, begin, begin + length)
            expected = [token for i in chosen[order].tolist() for token in self.ids(written[i])]
            assert target.view(kind).tolist() == expected
        with pytest.raises(MixteraError, match=path.name):
            reader.place(np.empty(8, np.uint8), np.array([0]), np.array([8]), np.array([0]))

    def test_any_documents_are_one_gather(self, tmp_path: Path) -> None:
        path = self._written(tmp_path, self._records(200))
        table = self._scan(path)[0]
        storage = PlainStorage(path)
        file = storage_of(str(path)).stat(str(path))
        reader = self.format.reader(storage, file, self.content, 0)  # type: ignore[arg-type]
        reader.read(self._request(table, range(0, len(table), 3)))
        assert storage.opened[file.url].gathers == 1

    def test_all_of_a_file_is_one_range(self, tmp_path: Path) -> None:
        written = self._records(100)
        path = self._written(tmp_path, written)
        table = self._scan(path)[0]
        first, last = table["offset"][0].as_py(), table["offset"][-1].as_py() + table["length"][-1].as_py()
        found = self._opened(path, False).tokens(np.array([first]), np.array([last]))
        assert found.tolist() == [token for record in written for token in self.ids(record)]

    def test_a_range_of_half_a_token_is_refused(self, tmp_path: Path) -> None:
        path = self._written(tmp_path, self._records(10))
        reader = self._opened(path, False)
        start = self._scan(path)[0]["offset"][0].as_py()
        for stop in (start - reader.token_bytes, start + reader.token_bytes + reader.token_bytes // 2):
            if stop != start + 1:  # half of a byte is none
                with pytest.raises(MixteraError, match=path.name):
                    reader.tokens(np.array([start]), np.array([stop]))

    def test_a_closed_reader_says_so(self, tmp_path: Path) -> None:
        reader = self._opened(self._written(tmp_path, self._records(10)), False)
        reader.close()
        reader.close()
        with pytest.raises(MixteraError, match="closed"):
            reader.tokens(np.array([0]), np.array([0]))

    def _opened(self, path: Path, plain: bool) -> TokenReader:
        url = str(path) if plain else self.placed(path)
        storage = PlainStorage(path) if plain else storage_of(url)
        file: FileInfo = storage_of(url).stat(url)
        reader = self.format.reader(storage, file, self.content, 0)  # type: ignore[arg-type]
        assert isinstance(reader, TokenReader)
        return reader


def joined(documents: Sequence[Sequence[int]], kind: str) -> bytes:
    """Documents back to back, in a numpy type."""
    return np.array([token for document in documents for token in document], kind).tobytes()
