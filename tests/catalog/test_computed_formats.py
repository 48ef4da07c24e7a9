"""Computed properties over every format: content and properties in, in the same types, whatever the file."""

from __future__ import annotations

import bz2
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import zstandard

from mixtera.catalog import Catalog
from mixtera.errors import MixteraError
from mixtera.spec.model import BadSamples, ComputedProperty, ContentField, Source
from tests.catalog.contents import rows
from tests.catalog.corpus import HERE, properties, spec
from tests.catalog.test_computed import computed

ROWS = 500
TEXTS = [f'text {i}\n"quoted", wörld {"x" * (i % 40)}' for i in range(ROWS)]
TABLE = pa.table({"text": TEXTS, "year": range(ROWS)})


def lines(line_end: str = "\n", last: str = "") -> bytes:
    records = [json.dumps({"text": text, "year": year}) for year, text in enumerate(TEXTS)]
    return (line_end.join(records) + last).encode()


def csv(path: Path) -> None:
    pyarrow.csv.write_csv(TABLE, path)


def arrow(path: Path) -> None:
    with pa.ipc.new_file(path, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=33)


WRITERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a.jsonl": ("jsonl", lambda path: path.write_bytes(lines())),
    "crlf.jsonl": ("jsonl", lambda path: path.write_bytes(lines("\r\n", "\r\n"))),
    "blank.jsonl": ("jsonl", lambda path: path.write_bytes(lines("\n\n  \n"))),
    "a.jsonl.gz": ("jsonl", lambda path: path.write_bytes(gzip.compress(lines()))),
    "a.jsonl.zst": ("jsonl", lambda path: path.write_bytes(zstandard.compress(lines(last="\n")))),
    "a.jsonl.bz2": ("jsonl", lambda path: path.write_bytes(bz2.compress(lines()))),
    "a.csv": ("csv", csv),
    "a.arrow": ("arrow", arrow),
    "a.parquet": ("parquet", lambda path: pq.write_table(TABLE, path, row_group_size=77)),
    "large.parquet": ("parquet", lambda path: pq.write_table(TABLE.cast(LARGE), path)),
}
LARGE = pa.schema([("text", pa.large_string()), ("year", pa.int16())])


def source_of(path: Path, format_: str, *wanted: ComputedProperty) -> Source:
    content = (ContentField("text", "text"),)
    plain = properties(year="year") if format_ != "text" else ()
    return Source("web", (str(path),), format_, content, plain, BadSamples(), HERE, wanted)


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_functions_the_same(catalog: Catalog, tmp_path: Path, name: str) -> None:
    format_, write = WRITERS[name]
    write(tmp_path / name)
    catalog.index(spec(source_of(tmp_path / name, format_)))
    web = source_of(tmp_path / name, format_, computed(), computed("halves", "half", ("year",), "float64"))
    (done,) = catalog.index(spec(web)).sources
    assert (done.changed, done.columns) == (0, ("size", "halves"))
    found = rows(catalog, web)
    assert [row["size"] for row in found] == [len(text) for text in TEXTS]
    assert [row["halves"] for row in found] == [None if i % 2 else i / 2 for i in range(ROWS)]


def test_texts_that_are_files(catalog: Catalog, tmp_path: Path) -> None:
    for number, text in enumerate(TEXTS[:30]):
        (tmp_path / f"{number:02}.txt").write_text(text)
    log = tmp_path / "log"
    web = source_of(tmp_path / "*.txt", "text", computed(log=str(log)))
    catalog.index(spec(web), workers=1)
    assert [row["size"] for row in rows(catalog, web)] == [len(text) for text in TEXTS[:30]]
    assert len(log.read_text().splitlines()) < 8  # small files come together


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.csv", "a.arrow"])
def test_a_file_that_is_another_one_is_refused(catalog: Catalog, tmp_path: Path, name: str) -> None:
    """Its size and time are those of the file that was indexed, so only what it holds can tell."""
    format_, write = WRITERS[name]
    path = tmp_path / name
    write(path)
    plain = source_of(path, format_)
    catalog.index(spec(plain))
    before, facts = rows(catalog, plain), path.stat()
    path.write_bytes(b"}" * facts.st_size)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    with pytest.raises(MixteraError, match=name):
        catalog.index(spec(source_of(path, format_, computed())))
    assert rows(catalog, plain) == before
