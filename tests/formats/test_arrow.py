"""Arrow files and streams of every kind, whole and damaged."""

import datetime
import io
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest

from mixtera.contracts.format import ContentColumn, PropertyColumn, ReadRequest
from mixtera.contracts.storage import FileInfo
from mixtera.errors import MixteraError, SampleError, StorageError
from mixtera.formats.arrow import Arrow
from mixtera.formats.arrow.file import ArrowFile
from mixtera.formats.hits import hits_here
from mixtera.registry import format_of, storage_of
from mixtera.testing.format import CONTENT, request, scan_file

plugin = Arrow()
KINDS = ("file", "stream")


def written(
    directory: Path, table: pa.Table | dict, kind: str = "file", rows: int = 10, name: str = "a.arrow", **options
):
    path = directory / name
    table = table if isinstance(table, pa.Table) else pa.table(table)
    new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with new(path, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return path


def reader(path: Path, content=CONTENT, cache_bytes=1 << 24):
    storage = storage_of(str(path))
    return plugin.reader(storage, storage.stat(str(path)), content, cache_bytes)


def infer(path: Path, **paths: str):
    storage = storage_of(str(path))
    return plugin.infer(storage, [storage.stat(str(path))], paths)


def rows(*chosen: int) -> ReadRequest:
    return ReadRequest(np.array(chosen, np.int64))


TEXTS = {"text": [f"text {i} " + "é" * (i % 7) for i in range(95)]}


def test_suffixes_are_known():
    assert {format_of(f"a{suffix}").name for suffix in (".arrow", ".arrows", ".feather", ".IPC")} == {"arrow"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_batches_are_units_where_they_are_compressed(tmp_path, kind, compression):
    path = written(tmp_path, TEXTS, kind, compression=compression)
    table, bad, facts, _ = scan_file(plugin, path, ())
    assert (table.num_rows, bad, facts.rows) == (95, [], 95)
    assert facts.group_rows == (() if compression is None else (10,) * 9 + (5,))
    chosen = sorted(random.Random(3).sample(range(95), 40))
    assert reader(path).read(request(table, chosen))["text"].to_pylist() == [TEXTS["text"][i] for i in chosen]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compression", [None, "zstd"])
@pytest.mark.parametrize(
    ("values", "arrow_type", "expected_type"),
    [
        (["a", "é", "a"], pa.large_string(), pa.string()),
        (["a", "é", "a"], pa.string_view(), pa.string()),
        (["a", "é", "a"], pa.dictionary(pa.int8(), pa.string()), pa.string()),
        ([b"\0", b"\xff", b""], pa.binary(), pa.binary()),
        ([b"\0", b"\xff", b""], pa.large_binary(), pa.binary()),
        ([b"12", b"34", b"56"], pa.binary(2), pa.binary()),
        ([[1, 2], [], [3]], pa.list_(pa.int32()), pa.list_(pa.int32())),
        ([7, 8, 9], pa.uint16(), pa.uint16()),
    ],
)
def test_content_of_any_type(tmp_path, kind, compression, values, arrow_type, expected_type):
    array = pa.array(values)
    array = array.dictionary_encode().cast(arrow_type) if pa.types.is_dictionary(arrow_type) else array.cast(arrow_type)
    path = written(tmp_path, {"text": array, "other": [1, 2, 3]}, kind, 2, compression=compression)
    table, bad, _, _ = scan_file(plugin, path, ())
    assert not bad
    for chosen in ([0, 1, 2], [2]):
        batch = reader(path).read(request(table, chosen))
        assert batch.schema == pa.schema([("text", expected_type)])
        assert batch["text"].to_pylist() == [values[i] for i in chosen]


@pytest.mark.parametrize("kind", KINDS)
def test_properties_of_nested_columns(tmp_path, kind):
    table = pa.table(
        {
            "text": ["a", "b", "c"],
            "meta": [{"lang": "en", "at": datetime.date(2020, 1, 2)}, None, {"lang": None, "at": None}],
            "topics": pa.array([["x", None], None, []], pa.large_list(pa.large_string())),
            "kind": pa.array(["p", None, "p"]).dictionary_encode(),
            "score": pa.array([0.5, float("nan"), None], pa.float32()),
            "a.b": [1, 2, 3],
        }
    )
    path = written(tmp_path, table, kind, 2)
    paths = {"lang": "meta.lang", "at": "meta.at", "topics": "topics", "kind": "kind", "score": "score", "ab": "a.b"}
    types = infer(path, absent="meta.absent", **paths)
    assert types == {
        "lang": "string", "at": "date", "topics": "list<string>", "kind": "string", "score": "float64", "ab": "int64",
        "absent": None,
    }  # fmt: skip
    columns = tuple(PropertyColumn(name, paths[name], types[name]) for name in paths)
    found, bad, _, _ = scan_file(plugin, path, columns)
    assert not bad
    assert found.drop_columns(["row", "offset", "length"]).to_pydict() == {
        "lang": ["en", None, None],
        "at": [datetime.date(2020, 1, 2), None, None],
        "topics": [["x"], [], []],
        "kind": ["p", None, "p"],
        "score": [0.5, None, None],
        "ab": [1, 2, 3],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_null_content_and_wrong_values_are_bad_samples(tmp_path, kind):
    table = pa.table({"text": ["a", None, "c", "d", None], "n": [1.0, 2.0, 2.5, 4.0, 5.5]})
    path = written(tmp_path, table, kind, 2)
    found, bad, facts, _ = scan_file(plugin, path, (PropertyColumn("n", "n", "int64"),))
    assert [(sample.row, sample.reason) for sample in bad] == [
        (1, "content column 'text' is NULL"),
        (2, "property 'n' (n): expected int64, got 2.5"),
        (4, "content column 'text' is NULL"),
    ]
    assert (found["row"].to_pylist(), found["n"].to_pylist(), facts.rows) == ([0, 3], [1, 4], 5)
    assert reader(path).read(rows(0, 2, 3))["text"].to_pylist() == ["a", "c", "d"]
    with pytest.raises(SampleError, match=r"a\.arrow, row 1: content column 'text' is NULL"):
        reader(path).read(rows(0, 1))


@pytest.mark.parametrize("arrow_type", [pa.string(), pa.large_string()])
def test_strings_that_are_not_utf8_are_bad_samples(tmp_path, arrow_type):
    raw = pa.array(
        [b"a", b"\xff", b"c", b"d", b"\xc3"], pa.binary() if arrow_type == pa.string() else pa.large_binary()
    )
    path = written(tmp_path, {"text": raw.view(arrow_type), "p": raw.view(arrow_type)}, rows=3)
    table, bad, _, _ = scan_file(plugin, path, (PropertyColumn("p", "p", "string"),))
    assert [sample.row for sample in bad] == [1, 4]
    assert "not valid UTF-8" in bad[0].reason
    assert table["p"].to_pylist() == ["a", "c", "d"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_dictionaries_that_change_from_batch_to_batch(tmp_path, kind, compression):
    words = [f"w{i % 7 + i // 20}" for i in range(60)]
    options = pa.ipc.IpcWriteOptions(compression=compression, emit_dictionary_deltas=True)
    schema = pa.schema([("text", pa.dictionary(pa.int32(), pa.string()))])
    path = tmp_path / "a.arrow"
    known: list[str] = []
    with (pa.ipc.new_file if kind == "file" else pa.ipc.new_stream)(path, schema, options=options) as writer:
        for start in range(0, 60, 10):
            part = words[start : start + 10]
            known += [word for word in dict.fromkeys(part) if word not in known]
            indices = pa.array([known.index(word) for word in part], pa.int32())
            writer.write_batch(pa.record_batch([pa.DictionaryArray.from_arrays(indices, known)], schema=schema))
    table, bad, _, _ = scan_file(plugin, path, ())
    assert not bad
    opened = reader(path, cache_bytes=0)
    for chosen in ([55], [0, 59], list(range(60))):
        assert opened.read(request(table, chosen))["text"].to_pylist() == [words[i] for i in chosen]


def test_the_shards_of_save_to_disk(tmp_path):
    """As Hugging Face datasets lays them out: streams of 1,000 rows a batch, JSON files beside them."""
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / "state.json").write_text('{"_data_files": []}')
    for shard in range(3):
        table = {"text": [f"{shard}-{i}" for i in range(2500)], "label": [i % 2 for i in range(2500)]}
        written(tmp_path, table, "stream", 1000, f"data-{shard:05d}-of-00003.arrow")
    storage = storage_of(str(tmp_path))
    files = storage.expand([f"{tmp_path}/data-*.arrow"])
    assert len(files) == 3
    opened = [plugin.reader(storage, file, CONTENT, 1 << 20) for file in files]
    chosen = [5, 999, 1000, 2499]
    found = plugin.read([(one, rows(*chosen)) for one in opened])
    assert found["text"].to_pylist() == [f"{shard}-{i}" for shard in range(3) for i in chosen]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compression", [None, "lz4"])
def test_a_file_cut_anywhere_is_named(tmp_path, kind, compression):
    path = written(tmp_path, TEXTS, kind, 20, compression=compression)
    data = path.read_bytes()
    for cut in [*range(0, len(data), 97), *range(len(data) - 12, len(data))]:
        path.write_bytes(data[:cut])
        for use in (reader, lambda path: scan_file(plugin, path, ()), lambda path: infer(path, p="p")):
            with pytest.raises(SampleError, match=r"a\.arrow is no whole Arrow file"):
                use(path)


def test_bytes_behind_the_end_of_a_stream_are_not_passed_over(tmp_path):
    path = written(tmp_path, TEXTS, "stream")
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(SampleError, match="stand behind its end: were streams put together"):
        scan_file(plugin, path, ())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PAR1 and more of it", "it does not begin like an Arrow file"),
        (b"\x1f\x8b", "it does not begin like an Arrow file"),
        (b"", "it does not begin like an Arrow file"),
        (b"FEA1" + bytes(40), "it is Feather version 1"),
        (b"ARROW1\0\0" + bytes(40), "its end is missing"),
        (b"ARROW1\0\0" + bytes(40) + b"ARROW1", "no whole Arrow file"),
        (b"\xff\xff\xff\xff" + bytes(4), "no whole Arrow file"),
        (b"\xff\xff\xff\xff" + b"\xff" * 60, "no whole Arrow file"),
    ],
)
def test_what_is_no_arrow(tmp_path, data, message):
    path = tmp_path / "a.arrow"
    path.write_bytes(data)
    for use in (reader, lambda path: scan_file(plugin, path, ())):
        with pytest.raises(SampleError, match=r"a\.arrow is no whole Arrow file") as error:
            use(path)
        assert message in str(error.value)


DAMAGE = """
import sys, random
from pathlib import Path
import numpy as np
from mixtera.errors import MixteraError
from mixtera.formats.arrow import Arrow
from mixtera.registry import storage_of
from mixtera.testing.format import CONTENT, request, scan_file
path, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
data, chance = path.read_bytes(), random.Random(seed)
refused = 0
for _ in range(count):
    damaged = bytearray(data)
    for _ in range(chance.choice([1, 1, 4, 40])):
        damaged[chance.randrange(len(data))] = chance.choice([0, 255, chance.randrange(256)])
    path.write_bytes(damaged)
    try:
        table = scan_file(Arrow(), path, ())[0]
        storage = storage_of(str(path))
        Arrow().reader(storage, storage.stat(str(path)), CONTENT, 1 << 20).read(request(table, range(table.num_rows)))
    except MixteraError as error:
        assert path.name in str(error), error
        refused += 1
print(refused)
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_bytes_changed_at_random_never_end_the_process(tmp_path, kind, compression):
    path = written(tmp_path, TEXTS | {"n": list(range(95))}, kind, 20, compression=compression)
    done = subprocess.run(
        [sys.executable, "-c", DAMAGE, str(path), "11", "400"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 40


def test_a_file_cut_while_it_is_mapped_is_an_error_and_no_signal(tmp_path):
    path = written(tmp_path, {"text": ["x" * 1000] * 5000}, rows=100)
    opened = reader(path)
    assert opened.read(rows(0))["text"].to_pylist() == ["x" * 1000]
    os.truncate(path, 8192)
    with pytest.raises(StorageError, match=r"a\.arrow changed since it was indexed"):
        opened.read(rows(4999))


def test_content_columns_that_are_not_there_are_named_with_those_that_are(tmp_path):
    path = written(tmp_path, {"body": ["a"], "meta": [{"text": "x"}]})
    for call in (lambda content: scan_file(plugin, path, (), content), lambda content: reader(path, content)):
        with pytest.raises(SampleError, match=r"a\.arrow: no content column 'text'.*body, meta"):
            call((ContentColumn("text", "text"),))
        with pytest.raises(SampleError, match=r"'meta' is a struct: name one of its fields \(text\)"):
            call((ContentColumn("text", "meta"),))


def test_content_of_which_no_rows_can_be_taken_is_refused_when_it_is_indexed(tmp_path):
    path = written(tmp_path, {"text": pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["a"]))})
    for call in (lambda: scan_file(plugin, path, ()), lambda: reader(path)):
        with pytest.raises(SampleError, match=r"'text' is of type run_end_encoded.*: write it as string"):
            call()


def test_schemas_that_differ_between_files(tmp_path):
    storage = storage_of(str(tmp_path))
    made = [
        written(tmp_path, {"text": ["a"], "n": [1]}, name="a.arrow"),
        written(tmp_path, {"n": [1.5], "text": pa.array(["b"], pa.large_string())}, name="b.arrow"),
        written(tmp_path, {"text": ["c"]}, name="c.arrow"),
    ]
    files = [storage.stat(str(path)) for path in made]
    assert plugin.infer(storage, files, {"n": "n"}) == {"n": "float64"}
    values = [scan_file(plugin, path, (PropertyColumn("n", "n", "float64"),))[0]["n"].to_pylist() for path in made]
    assert values == [[1.0], [1.5], [None]]
    opened = [plugin.reader(storage, file, CONTENT, 0) for file in files]
    assert plugin.read([(one, rows(0)) for one in opened])["text"].to_pylist() == ["a", "b", "c"]
    other = written(tmp_path, {"text": [b"d"], "n": ["x"]}, name="d.arrow")
    with pytest.raises(SampleError, match="files of one source hold their content in different types"):
        plugin.read([(opened[0], rows(0)), (reader(other), rows(0))])
    with pytest.raises(SampleError, match=r"is string here and float64 in .*b\.arrow"):
        plugin.infer(storage, [*files, storage.stat(str(other))], {"n": "n"})
    with pytest.raises(SampleError, match=r"d\.arrow: property 'n' \(n\) is of type string .*declare it as string"):
        scan_file(plugin, other, (PropertyColumn("n", "n", "float64"),))


def test_a_row_beyond_the_file_is_a_changed_file(tmp_path):
    with pytest.raises(StorageError, match=r"a\.arrow changed since it was indexed: row 95"):
        reader(written(tmp_path, TEXTS)).read(rows(95))


class Remote:
    """A storage whose files have no descriptor."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, url: str) -> io.BytesIO:
        return io.BytesIO(self._path.read_bytes())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_files_without_a_descriptor_are_read_batch_by_batch(tmp_path, kind, compression):
    path = written(tmp_path, TEXTS, kind, compression=compression)
    file = FileInfo("far://a.arrow", "a.arrow", path.stat().st_size, 0)
    assert not ArrowFile(Remote(path), file).sliceable
    scan = plugin.scan(Remote(path), file, (), CONTENT)
    assert sum(piece.table.num_rows for piece in scan) == 95
    assert scan.facts().group_rows == (10,) * 9 + (5,)
    opened = plugin.reader(Remote(path), file, CONTENT, 1 << 20)
    assert opened.read(rows(3, 50, 94))["text"].to_pylist() == [TEXTS["text"][i] for i in (3, 50, 94)]


@pytest.mark.parametrize("compression", ["lz4", None])
def test_what_is_kept_stays_within_bounds(tmp_path, compression):
    texts = [f"{i} " * 100 for i in range(20_000)]
    path = written(tmp_path, {"text": texts}, rows=2_000, compression=compression)
    for cache_bytes in (0, 1_000_000, 1 << 30):
        opened, before = reader(path, cache_bytes=cache_bytes), replace(hits_here())
        for start in range(0, 20_000, 500):
            chosen = np.arange(start, 20_000, 3_001)
            assert opened.read(ReadRequest(chosen))["text"].to_pylist() == [texts[i] for i in chosen]
            assert opened.held_bytes <= cache_bytes
        assert opened.held_bytes > 0 or cache_bytes < 1 << 30 or compression is None
        if compression is not None:
            found = hits_here()
            assert (found.misses - before.misses == 10) == (cache_bytes == 1 << 30), "each batch is decoded once"
            assert (found.hits > before.hits) == (cache_bytes > 0)
        opened.close()
        with pytest.raises(MixteraError, match="is closed"):
            opened.read(rows(0))


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from mixtera.contracts.format import ReadRequest
from mixtera.formats.arrow import Arrow
from mixtera.registry import storage_of
from mixtera.testing.format import CONTENT

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

path = sys.argv[1]
storage = storage_of(path)
reader = Arrow().reader(storage, storage.stat(path), CONTENT, 16 << 20)
reader.read(ReadRequest(np.arange(10)))
before, most = resident(), 0
for start in range(0, 100_000, 1_000):
    reader.read(ReadRequest(np.arange(start, start + 1_000)))
    most = max(most, resident())
print(most - before)
"""


def test_a_mapped_file_does_not_fill_the_memory(tmp_path):
    path = written(tmp_path, {"text": ["x" * 2_000] * 100_000}, "stream", 1_000)
    assert path.stat().st_size > 200_000_000
    done = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100_000_000
