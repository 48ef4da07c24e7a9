"""The laws of a format. Subclass `FormatLaws` in a test module and say how to write a file without the code under test.

::

    class TestMine(FormatLaws):
        format = MyFormat()
        suffix = ".mine"

        def write(self, path, records):
            ...

A format that cannot hold all of it says so: `rows` is how many records fit into one of its files, `properties` are
those that it can hold, and `gaps` names each law that has no meaning for it, with the reason. A gap is strict: a law
that holds in spite of it fails. What is no text says with `content`, `content_type` and `delivered` what it is.

Files are read where they are written, unless `url` and `placed` say otherwise: so the laws hold on any storage.
"""

# ruff: noqa: D102 - the name of a law says what it is

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import pyarrow as pa
import pytest

from mixtera.contracts.format import (
    BadSample,
    ContentColumn,
    FileFacts,
    Format,
    Framed,
    PropertyColumn,
    ReadRequest,
    SampleReader,
)
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import MixteraError, SampleError, StorageError
from mixtera.formats.values import ARROW_TYPES
from mixtera.registry import storage_of

Record = Mapping[str, object]

CONTENT = (ContentColumn("text", "text"),)
PROPERTIES = (
    PropertyColumn("language", "meta.language", "string"),
    PropertyColumn("year", "meta.year", "int64"),
    PropertyColumn("quality", "quality", "float64"),
    PropertyColumn("checked", "checked", "bool"),
    PropertyColumn("topics", "topics", "list<string>"),
)
ROWS = 3_000
_PATIENCE_SECONDS: Final = 600.0


def records(rows: int = ROWS) -> list[dict[str, object]]:
    """Records with every kind of property, NULLs included; texts from empty to 4 KiB, of several scripts."""
    return [
        {
            "text": f"doc-{i:06d} " + ('wörld\n"q" 世界 \\ ' * (i % 5) if i % 3 else "plain words " * (i % 300)),
            "title": "" if i % 7 == 0 else f"title {i}",
            "meta": {"language": ("en", "de", None)[i % 3], "year": None if i % 11 == 0 else 1990 + i % 30},
            "quality": None if i % 13 == 0 else i / 7,
            "checked": None if i % 17 == 0 else i % 2 == 0,
            "topics": None if i % 19 == 0 else ["law", "sport", None][: i % 4],
        }
        for i in range(rows)
    ]


def expected_property(record: Record, column: PropertyColumn) -> object:
    """The value a scan must deliver for a record that a writer was given."""
    value: object = record
    for key in column.path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if column.type.startswith("list"):
        return [element for element in value or [] if element is not None]  # type: ignore[attr-defined]
    return None if isinstance(value, float) and math.isnan(value) else value


def scan_file(
    plugin: Format,
    path: Path | str,
    properties: Sequence[PropertyColumn] = PROPERTIES,
    content: Sequence[ContentColumn] = CONTENT,
) -> tuple[pa.Table, list[BadSample], FileFacts, int]:
    """Scan a file: the whole index, the bad samples, the facts, and the bytes read."""
    storage = storage_of(str(path))
    scan = plugin.scan(storage, storage.stat(str(path)), properties, content)
    pieces = list(scan)
    index = ("row", "offset", "length")
    fields = [(name, pa.int64()) for name in index] + [(p.name, ARROW_TYPES[p.type]) for p in properties]
    table = pa.Table.from_batches([piece.table for piece in pieces], schema=pa.schema(fields))
    bad = [sample for piece in pieces for sample in piece.bad]
    return table, bad, scan.facts(), sum(piece.bytes_read for piece in pieces)


def _scan_there(
    answer: Connection,
    plugin: Format,
    path: Path | str,
    properties: Sequence[PropertyColumn],
    content: Sequence[ContentColumn],
) -> None:
    """What another process does: scan a file, and send the whole index."""
    answer.send(scan_file(plugin, path, properties, content)[0])


def request(table: pa.Table, chosen: Sequence[int], line_end: int = 1) -> ReadRequest:
    """A request for some rows of a scanned index, with line ends of so many bytes where the format has offsets."""
    part = table.select(["row", "offset", "length"]).take(pa.array(chosen, pa.int64()))
    rows = part["row"].to_numpy()
    if part["offset"].null_count:
        return ReadRequest(rows)
    starts = part["offset"].to_numpy()
    return ReadRequest(rows, starts, starts + part["length"].to_numpy() + line_end)


def open_reader(plugin: Format, path: Path | str, content: Sequence[ContentColumn], cache_bytes: int) -> SampleReader:
    """Open a file as a stream does: by its frames, where a scan finds some."""
    storage = storage_of(str(path))
    file = storage.stat(str(path))
    if isinstance(plugin, Framed) and (frames := scan_file(plugin, path, (), content)[2].frames):
        return plugin.framed_reader(storage, file, content, cache_bytes, np.array(frames).reshape(-1, 2))
    return plugin.reader(storage, file, content, cache_bytes)


class FormatLaws:
    """What every format must do. `write` is the only thing a subclass must define beside the two attributes."""

    format: ClassVar[Format]
    suffix: ClassVar[str]
    rows: ClassVar[int] = ROWS
    properties: ClassVar[tuple[PropertyColumn, ...]] = PROPERTIES
    content: ClassVar[tuple[ContentColumn, ...]] = CONTENT
    content_type: ClassVar[pa.DataType] = pa.string()
    gaps: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _declared_gap(self, request: pytest.FixtureRequest) -> None:
        unknown = [name for name in self.gaps if not hasattr(type(self), name)]
        assert not unknown, f"{type(self).__name__}.gaps names no law: {unknown}"
        reason = self.gaps.get(request.node.originalname)
        if reason is not None:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))

    def write(self, path: Path, records: Sequence[Record]) -> None:
        """Write a file of these records, with a writer that is not the code under test."""
        raise AssertionError(f"{type(self).__name__} must define write(path, records)")

    def url(self, path: Path) -> str:
        """Where a file is read that is written to a path."""
        return str(path)

    def placed(self, path: Path) -> str:
        """Bring a file that was written, and what lies beside it, to where it is read; its URL."""
        return self.url(path)

    def delivered(self, record: Record) -> object:
        """What a reader delivers of a record in its content column."""
        return record["text"]

    def expected(self, record: Record, column: PropertyColumn) -> object:
        """The value a scan must deliver for a record."""
        return expected_property(record, column)

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        """The storage that files are read from."""
        return storage_of(self.url(tmp_path / f"part{self.suffix}"))

    def _written(self, directory: Path, written: Sequence[Record]) -> Path:
        path = directory / f"part{self.suffix}"
        self.write(path, written)
        return path

    def _records(self, rows: int = ROWS) -> list[dict[str, object]]:
        return records(min(rows, self.rows))

    def _reader(
        self, path: Path, content: Sequence[ContentColumn] | None = None, cache_bytes: int = 1 << 24
    ) -> SampleReader:
        return open_reader(self.format, self.placed(path), content or self.content, cache_bytes)

    def _scan(
        self,
        path: Path,
        properties: Sequence[PropertyColumn] | None = None,
        content: Sequence[ContentColumn] | None = None,
    ) -> tuple[pa.Table, list[BadSample], FileFacts, int]:
        asked = self.properties if properties is None else properties
        return scan_file(self.format, self.placed(path), asked, content or self.content)

    def _request(self, table: pa.Table, chosen: Sequence[int]) -> ReadRequest:
        return request(table, chosen, int(self.format.offsets == "always"))

    def _delivered(self, batch: pa.RecordBatch) -> list[object]:
        return list(batch[self.content[0].name].to_pylist())

    def test_the_suffix_is_its_own(self) -> None:
        assert any(self.suffix.endswith(suffix) for suffix in self.format.suffixes)

    def test_types_are_inferred(self, tmp_path: Path, storage: Storage) -> None:
        file = storage.stat(self.placed(self._written(tmp_path, self._records(200))))
        paths = {column.name: column.path for column in self.properties} | {"absent": "meta.absent"}
        expected = {column.name: column.type for column in self.properties} | {"absent": None}
        assert self.format.infer(storage, [file], paths) == expected

    def test_an_object_cannot_be_a_property(self, tmp_path: Path, storage: Storage) -> None:
        path = self._written(tmp_path, self._records(10))
        with pytest.raises(SampleError, match="dotted path") as error:
            self.format.infer(storage, [storage.stat(self.placed(path))], {"meta": "meta"})
        assert path.name in str(error.value)

    def test_the_index_has_every_record_once_in_order(self, tmp_path: Path) -> None:
        table, bad, facts, _ = self._scan(self._written(tmp_path, self._records()))
        assert table["row"].to_pylist() == list(range(self.rows))
        assert not bad
        assert facts.rows == self.rows

    def test_groups_cover_the_rows(self, tmp_path: Path) -> None:
        _, _, facts, _ = self._scan(self._written(tmp_path, self._records()))
        assert sum(facts.group_rows) in (0, facts.rows)

    def test_bytes_read_add_up_to_the_file(self, tmp_path: Path) -> None:
        path = self._written(tmp_path, self._records())
        assert self._scan(path)[3] == path.stat().st_size

    def test_properties_are_those_written(self, tmp_path: Path) -> None:
        written = self._records()
        table, _, _, _ = self._scan(self._written(tmp_path, written))
        for column in self.properties:
            expected = [self.expected(record, column) for record in written]
            assert table[column.name].to_pylist() == expected, column.name

    def test_a_property_no_record_has_is_null(self, tmp_path: Path) -> None:
        absent = PropertyColumn("absent", "meta.absent", "int64")
        none = PropertyColumn("none", "nowhere.at.all", "list<string>")
        table, bad, _, _ = self._scan(self._written(tmp_path, self._records(50)), (absent, none))
        assert table["absent"].to_pylist() == [None] * min(50, self.rows)
        assert table["none"].to_pylist() == [[]] * min(50, self.rows)
        assert not bad

    def test_two_properties_may_have_one_path(self, tmp_path: Path) -> None:
        one = next(column for column in self.properties if column.type in ("int64", "string"))
        both = (PropertyColumn("a", one.path, one.type), PropertyColumn("b", one.path, one.type))
        table, _, _, _ = self._scan(self._written(tmp_path, self._records(50)), both)
        expected = [self.expected(record, one) for record in self._records(50)]
        assert table["a"].to_pylist() == table["b"].to_pylist() == expected

    def test_no_properties_at_all(self, tmp_path: Path) -> None:
        table, _, _, _ = self._scan(self._written(tmp_path, self._records(50)), ())
        assert table["row"].to_pylist() == list(range(min(50, self.rows)))

    def test_chosen_samples_are_those_written(self, tmp_path: Path) -> None:
        written = self._records()
        path = self._written(tmp_path, written)
        table = self._scan(path)[0]
        reader = self._reader(path)
        random = np.random.default_rng(7)
        for density in (0.001, 0.01, 0.125, 0.9, 1.0):
            chosen = np.flatnonzero(random.random(self.rows) < density).tolist()
            batch = reader.read(self._request(table, chosen))
            assert batch.schema.names == [self.content[0].name]
            assert batch.schema.types == [self.content_type]
            assert self._delivered(batch) == [self.delivered(written[i]) for i in chosen]
        reader.close()

    def test_single_samples_and_none(self, tmp_path: Path) -> None:
        written = self._records(20)
        path = self._written(tmp_path, written)
        table = self._scan(path)[0]
        reader = self._reader(path)
        for i in range(len(written)):
            assert self._delivered(reader.read(self._request(table, [i]))) == [self.delivered(written[i])]
        nothing = reader.read(ReadRequest(np.empty(0, np.int64)))
        assert nothing.num_rows == 0
        assert nothing.schema.types == [self.content_type]
        reader.close()

    def test_several_content_columns(self, tmp_path: Path) -> None:
        content = (ContentColumn("title", "title"), ContentColumn("body", "text"), ContentColumn("again", "text"))
        written = self._records(300)
        path = self._written(tmp_path, written)
        table = self._scan(path, None, content)[0]
        reader = self._reader(path, content)
        batch = reader.read(self._request(table, range(0, len(written), 3)))
        assert batch.schema.names == ["title", "body", "again"]
        assert batch["title"].to_pylist() == [r["title"] for r in written[::3]]
        assert batch["body"].to_pylist() == batch["again"].to_pylist() == [r["text"] for r in written[::3]]
        reader.close()

    def test_content_below_an_object(self, tmp_path: Path) -> None:
        content = (ContentColumn("text", "data.body.text"),)
        written = [{"id": i, "data": {"body": {"text": f"text {i}"}}} for i in range(40)]
        path = self._written(tmp_path, written)
        table = self._scan(path, (), content)[0]
        reader = self._reader(path, content)
        assert reader.read(self._request(table, [3, 39]))["text"].to_pylist() == ["text 3", "text 39"]
        reader.close()

    def test_a_reader_with_no_room_still_reads(self, tmp_path: Path) -> None:
        written = self._records()
        path = self._written(tmp_path, written)
        table = self._scan(path)[0]
        reader = self._reader(path, cache_bytes=0)
        for chosen in (range(0, self.rows, 7), range(self.rows)):
            found = self._delivered(reader.read(self._request(table, chosen)))
            assert found == [self.delivered(written[i]) for i in chosen]
        reader.close()

    def test_a_closed_reader_holds_nothing(self, tmp_path: Path) -> None:
        path = self._written(tmp_path, self._records(100))
        table = self._scan(path)[0]
        reader = self._reader(path)
        reader.read(self._request(table, range(min(100, self.rows))))
        reader.close()
        assert reader.held_bytes == 0

    def test_records_without_content_are_named(self, tmp_path: Path) -> None:
        written = self._records(500)
        written[17]["text"] = written[430]["text"] = None
        path = self._written(tmp_path, written)
        table, bad, facts, _ = self._scan(path)
        assert [sample.row for sample in bad] == [17, 430]
        assert all("text" in sample.reason for sample in bad)
        assert table["row"].to_pylist() == [i for i in range(500) if i not in (17, 430)]
        assert facts.rows == 500
        reader = self._reader(path)
        kept = [i for i in range(500) if i not in (17, 430)]
        batch = reader.read(self._request(table, range(498)))
        assert batch["text"].to_pylist() == [written[i]["text"] for i in kept]
        reader.close()

    def test_a_file_without_records(self, tmp_path: Path) -> None:
        path = self._written(tmp_path, self._records(5))
        self.write(path, [])
        table, bad, facts, _ = self._scan(path, ())
        assert (table.num_rows, bad, facts.rows) == (0, [], 0)

    def test_a_file_cut_short_is_noticed(self, tmp_path: Path) -> None:
        path = self._written(tmp_path, self._records())
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2 + 5])
        told: list[str] = []
        try:
            told += [sample.reason for sample in self._scan(path)[1]]
        except SampleError as error:
            told += [str(error)] if path.name in str(error) else []
        assert len(told) == 1

    def test_a_file_that_changed_is_refused(self, tmp_path: Path, storage: Storage) -> None:
        path = self._written(tmp_path, self._records())
        file, table = storage.stat(self.placed(path)), self._scan(path)[0]
        self.write(path, [{**record, "text": "x"} for record in self._records(9)])
        self.placed(path)
        with pytest.raises(MixteraError, match=path.name):
            self.format.reader(storage, file, self.content, 0).read(self._request(table, [self.rows - 1]))

    def test_a_missing_file_is_named(self, tmp_path: Path, storage: Storage) -> None:
        path = tmp_path / f"absent{self.suffix}"
        file = FileInfo(self.url(path), path.name, 10, 0)
        with pytest.raises(StorageError, match=path.name):
            list(self.format.scan(storage, file, self.properties, self.content))
        with pytest.raises(StorageError, match=path.name):
            self.format.reader(storage, file, self.content, 0)

    def test_files_are_scanned_in_other_processes(self, tmp_path: Path) -> None:
        path = self._written(tmp_path, self._records(100))
        context = multiprocessing.get_context("spawn")
        answer, sender = context.Pipe(duplex=False)
        arguments = sender, self.format, self.placed(path), self.properties, self.content
        process = context.Process(target=_scan_there, args=arguments)
        process.start()
        sender.close()
        try:
            assert answer.poll(_PATIENCE_SECONDS), "the scan hangs there"
            assert answer.recv() == self._scan(path)[0]
        finally:
            process.kill()
            process.join()
