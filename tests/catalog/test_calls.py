"""What indexing asks the file system for: one look at each file for its description, and one opening."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from mixtera.catalog import Catalog
from mixtera.spec.model import Source
from mixtera.testing.calls import counted_calls
from tests.catalog.corpus import ALL, properties, source, spec, write_lines

TYPED = properties(language=("meta.language", "string"))


def write_csv(path: Path) -> None:
    path.write_text("text,n\nhello,1\n")


def write_parquet(path: Path) -> None:
    pq.write_table(pa.table({"text": ["hello"], "n": [1]}), path)


def write_arrow(path: Path) -> None:
    feather.write_feather(pa.table({"text": ["hello"], "n": [1]}), str(path))


def write_text(path: Path) -> None:
    path.write_text("hello")


def of_format(name: str, pattern: Path) -> Source:
    found = source(pattern, () if name == "text" else properties(n=("n", "int64")))
    return Source(found.name, found.paths, name, found.content, found.properties, found.on_bad_sample, found.place)


def test_a_file_is_opened_once_and_asked_for_once_and_not_opened_when_nothing_changed(
    catalog: Catalog, data: Path
) -> None:
    names = [path.name for path in data.iterdir()]
    with counted_calls(data) as calls:
        catalog.index(spec(source(data / "*.jsonl", TYPED)), workers=1)
    assert calls == {(call, name): 1 for name in names for call in ("stat", "open")}
    with counted_calls(data) as calls:
        catalog.index(spec(source(data / "*.jsonl", TYPED)), workers=1)
    assert calls == {("stat", name): 1 for name in names}


def test_to_infer_types_eight_files_at_most_are_opened_once_more(catalog: Catalog, tmp_path: Path) -> None:
    for number in range(40):
        write_lines(tmp_path / "data" / f"{number}.jsonl", [number])
    with counted_calls(tmp_path / "data") as calls:
        catalog.index(spec(source(tmp_path / "data" / "*.jsonl", ALL)), workers=1)
    assert sum(count for (call, _), count in calls.items() if call == "open") == 48
    assert {count for (call, _), count in calls.items() if call != "open"} == {1}


@pytest.mark.parametrize(
    ("name", "suffix", "write"),
    [
        ("csv", "csv", write_csv),
        ("parquet", "parquet", write_parquet),
        ("arrow", "arrow", write_arrow),
        ("text", "txt", write_text),
    ],
)
def test_every_format_opens_a_file_once(name: str, suffix: str, write, catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in range(12):
        write(tmp_path / "data" / f"{number}.{suffix}")
    with counted_calls(tmp_path / "data") as calls:
        report = catalog.index(spec(of_format(name, tmp_path / "data" / f"*.{suffix}")), workers=1)
    assert report.samples == 12
    assert set(calls.values()) == {1}
    assert {call for call, _ in calls} == {"stat", "open"}
    assert len(calls) == 2 * 12


def test_ten_thousand_small_files(catalog: Catalog, tmp_path: Path) -> None:
    for folder in range(10):
        (tmp_path / "data" / str(folder)).mkdir(parents=True)
        for number in range(1000):
            path = tmp_path / "data" / str(folder) / f"{number}.jsonl"
            path.write_text('{"text": "x", "meta": {"language": "en"}}\n')
    with counted_calls(tmp_path / "data") as calls:
        report = catalog.index(spec(source(tmp_path / "data" / "*" / "*.jsonl", TYPED)), workers=1)
    assert (report.files, report.samples) == (10_000, 10_000)
    files = {key: count for key, count in calls.items() if key[1].endswith(".jsonl")}
    assert set(files.values()) == {1}
    assert {call for call, _ in files} == {"stat", "open"}
    assert sum(calls.values()) - len(files) <= 3 * 10, "directories are listed, not asked for again and again"


def test_a_file_that_is_replaced_or_written_to_while_it_is_scanned_is_refused(catalog: Catalog, data: Path) -> None:
    """The scan opens the file; what happens to it before the end is seen through its descriptor."""
    from mixtera.catalog.watching import Watched
    from mixtera.errors import StorageError
    from mixtera.registry import storage_of

    path = data / "part-0.jsonl"
    listed = storage_of(str(path)).stat(str(path))
    with Watched(listed) as storage, storage.open(str(path)):
        assert storage.now() == listed
        with path.open("ab") as file:
            file.write(b"{}\n")
        assert storage.now() != listed
        (data / "part-1.jsonl").replace(path)
        with pytest.raises(StorageError, match=r"part-0\.jsonl was replaced or deleted while it was read"):
            storage.now()
