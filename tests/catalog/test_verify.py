"""`index --verify`: every file is read again and held against the catalog, which stays as it is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixtera.catalog import Catalog
from mixtera.errors import CatalogError
from mixtera.spec.model import BadSamples
from tests.catalog.corpus import ALL, append, properties, record, source, spec, touch_later, write_lines
from tests.catalog.test_commands import SPEC, mixtera

__all__ = ["mixtera"]


def rewrite(path: Path, data: bytes) -> None:
    """Other bytes under the same size and time."""
    facts = path.stat()
    assert len(data) == facts.st_size
    path.write_bytes(data)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def everything(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_all_is_as_indexed_and_nothing_is_changed(catalog: Catalog, data: Path, tmp_path: Path) -> None:
    web = source(data / "*.jsonl", ALL)
    catalog.index(spec(web))
    before = everything(tmp_path / "catalog")
    for workers in (1, 2):
        (found,) = catalog.verify(spec(web), workers=workers)
        assert (found.source, found.files, found.samples, found.differences) == ("web", 4, 126, ())
    assert everything(tmp_path / "catalog") == before


@pytest.mark.parametrize(
    ("old", "new", "row", "said"),
    [
        (b'"language": "de"', b'"language": "xx"', 1, "language 'de' in the catalog, 'xx' now"),
        (b'"year": 2003', b'"year": 1999', 3, "year 2003 in the catalog, 1999 now"),
        (b'"text": "sample 4"', b'"text":"sample 4" ', None, ""),
        (b'"tags": ["a", "b"]', b'"tags": ["a", "c"]', 2, "tags ['a', 'b'] in the catalog, ['a', 'c'] now"),
        (b'{"text": "sample 5"', b'{"text":  sample 5"', 5, "is there in the catalog, and not now"),
        (b'}\n{"text": "sample 7"', b'} {"text": "sample 7"', 6, "is there in the catalog, and not now"),
        (b' {"language": "en", "year": 2009}', b'\n{"language": "en", "year": 2009}', 9, "is there in the catalog"),
    ],
)
def test_the_file_and_the_first_row_that_differ_are_named(
    old: bytes, new: bytes, row: int | None, said: str, catalog: Catalog, data: Path
) -> None:
    web = source(data / "*.jsonl", ALL)
    catalog.index(spec(web))
    path = data / "part-0.jsonl"
    assert old in path.read_bytes()
    rewrite(path, path.read_bytes().replace(old, new, 1))
    assert catalog.index(spec(web)).indexed_files == 0, "the fingerprint is the same"
    (found,) = catalog.verify(spec(web))
    if row is None:
        assert found.differences == (), "the record has its place and properties: its content is not in the catalog"
        return
    (difference,) = found.differences
    assert (difference.file, difference.row) == ("part-0.jsonl", row)
    assert said in difference.what


def test_offsets_are_compared(catalog: Catalog, data: Path) -> None:
    web = source(data / "*.jsonl", ALL)
    catalog.index(spec(web))
    path = data / "part-2.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3], lines[4] = b" " + lines[3], lines[4].replace(b'", "', b'","', 1).replace(b'", "', b'", "')
    if sum(map(len, lines)) != path.stat().st_size:
        lines[4] = lines[4].replace(b": ", b":", 1)
    rewrite(path, b"".join(lines)[: path.stat().st_size])
    (found,) = catalog.verify(spec(web))
    assert [(one.file, one.row) for one in found.differences] == [("part-2.jsonl", 3)]
    assert "length" in found.differences[0].what


def test_each_file_is_named_once_also_where_the_catalog_was_merged(catalog: Catalog, tmp_path: Path) -> None:
    for number in range(40):
        write_lines(tmp_path / "data" / f"{number:02d}.jsonl", range(number, number + 5))
        if number % 2:
            catalog.index(spec(source(tmp_path / "data" / "*.jsonl", ALL)))
    web = source(tmp_path / "data" / "*.jsonl", ALL)
    assert catalog.verify(spec(web))[0].differences == ()
    for number in (3, 17, 38):
        path = tmp_path / "data" / f"{number:02d}.jsonl"
        rewrite(path, path.read_bytes().replace(b'"year": 20', b'"year": 19'))
    found = catalog.verify(spec(web), workers=2)[0].differences
    assert [(one.file, one.row) for one in found] == [("03.jsonl", 0), ("17.jsonl", 0), ("38.jsonl", 0)]


def test_new_changed_and_gone_files(catalog: Catalog, data: Path) -> None:
    web = source(data / "*.jsonl", ALL)
    catalog.index(spec(web))
    write_lines(data / "new.jsonl", range(3))
    touch_later(data / "part-1.jsonl")
    (data / "part-2.jsonl").unlink()
    (found,) = catalog.verify(spec(web))
    assert found.files == 2
    assert {one.file: one.what for one in found.differences} == {
        "new.jsonl": "is new: it was never indexed",
        "part-1.jsonl": "has changed since it was indexed",
        "part-2.jsonl": "is gone",
    }


def test_records_that_are_left_out_are_counted(catalog: Catalog, data: Path) -> None:
    append(data / "part-0.jsonl", b'{"text": 4}\n')
    web = source(data / "*.jsonl", ALL, BadSamples("quarantine"))
    catalog.index(spec(web))
    assert catalog.verify(spec(web))[0].differences == ()
    path = data / "part-0.jsonl"
    rewrite(path, path.read_bytes().replace(b'{"text": 4}\n', b" " * 11 + b"\n"))
    (difference,) = catalog.verify(spec(web))[0].differences
    assert difference.what == "bad 1 in the catalog, 0 now"


def test_a_file_whose_samples_are_gone_and_one_that_had_none(catalog: Catalog, tmp_path: Path) -> None:
    write_lines(tmp_path / "data" / "a.jsonl", [1])
    blank = tmp_path / "data" / "b.jsonl"
    line = json.dumps(record(1)).encode() + b"\n"
    blank.write_bytes(b" " * (len(line) - 1) + b"\n")
    web = source(tmp_path / "data" / "*.jsonl", ALL)
    catalog.index(spec(web))
    assert catalog.verify(spec(web))[0].differences == ()
    rewrite(blank, line)
    path = tmp_path / "data" / "a.jsonl"
    rewrite(path, b" " * (path.stat().st_size - 1) + b"\n")
    found = {one.file: (one.row, one.what) for one in catalog.verify(spec(web))[0].differences}
    assert found == {
        "a.jsonl": (0, "is there in the catalog, and not now"),
        "b.jsonl": (0, "is there now, and is not in the catalog"),
    }


def test_parquet_and_fewer_properties_than_the_catalog_has(catalog: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": ["a", "b"], "n": [1, 2], "m": [3, 4]})
    pq.write_table(table, path, compression="none", use_dictionary=False)
    web = source(path, properties(n=("n", "int64"), m=("m", "int64")))
    both = type(web)(web.name, web.paths, "parquet", web.content, web.properties, web.on_bad_sample, web.place)
    catalog.index(spec(both))
    one = type(web)(web.name, web.paths, "parquet", web.content, web.properties[:1], web.on_bad_sample, web.place)
    assert catalog.verify(spec(one))[0].differences == ()
    size = path.stat().st_size
    other = table.set_column(2, "m", pa.array([3, 5]))
    facts = path.stat()
    pq.write_table(other, path, compression="none", use_dictionary=False)
    assert path.stat().st_size == size
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    (difference,) = catalog.verify(spec(one))[0].differences
    assert (difference.file, difference.row, difference.what) == ("a.parquet", 1, "m 4 in the catalog, 5 now")


def test_what_was_not_indexed_cannot_be_verified(catalog: Catalog, data: Path) -> None:
    with pytest.raises(CatalogError, match="is not in the catalog"):
        catalog.verify(spec(source(data / "*.jsonl", ALL)))


def test_the_command(mixtera, tmp_path: Path, data: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC.format(extra=""))
    code, _, err = mixtera("index", str(path), "--verify")
    assert code == 1
    assert "mixtera index" in err
    mixtera("index", str(path))
    code, out, err = mixtera("index", str(path), "--verify")
    assert (code, out) == (0, "web: 4 files read again, 126 samples in the catalog\n")
    assert "all is as it was indexed" in err
    part = data / "part-3.jsonl"
    rewrite(part, part.read_bytes().replace(b'"language": "en"', b'"language": "xx"', 1))
    code, out, err = mixtera("index", str(path), "--verify")
    assert code == 1
    assert out.splitlines()[1] == "  part-3.jsonl, row 0: language 'en' in the catalog, 'xx' now"
    assert "1 file is not as indexed" in err
    code, out, _ = mixtera("index", str(path), "--verify", "--json")
    report = json.loads(out)
    assert (code, report["as_indexed"]) == (1, False)
    assert report["sources"][0]["differences"][0]["row"] == 0
