"""A corpus of Parquet files, the table that a team keeps of it, and the spec of either."""

from __future__ import annotations

import datetime
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.catalog import Catalog
from mixtera.compiler import compile
from mixtera.spec import load
from mixtera.spec.model import Spec

ROWS = 900
FILES = ("a.parquet", "sub/b.parquet")
PROPERTIES = {"lang": "language", "year": "year", "score": "score", "tags": "tags", "day": "day", "seen": "seen"}
SCHEMA = pa.schema(
    [
        ("lang", pa.string()),
        ("year", pa.int32()),
        ("score", pa.float64()),
        ("tags", pa.list_(pa.string())),
        ("day", pa.date32()),
        ("seen", pa.timestamp("us")),
    ]
)
MIXTURE = """
filter: year != 1999
mixture:
  components:
    - {name: german, where: 'lang == "de" and year >= 2000', weight: 2}
    - {name: tagged, where: '"a" in tags and score <= 0', weight: 1}
    - {name: unscored, where: 'score is None', weight: 1}
    - {name: early, where: 'day < "2021-05-05" or seen < "2021-01-01T10:00:00Z"', weight: 1}
    - {name: rest, weight: 1}
holdout: {fraction: 0.1, by: year}
"""


@dataclass(frozen=True)
class Corpus:
    """Payload in `data`, what is known of it as one table in memory, rows shuffled, and the plain plan's digest."""

    folder: Path
    table: pa.Table
    digest: str

    @property
    def data(self) -> Path:
        return self.folder / "data"


def facts(seed: int, rows: int = ROWS) -> pa.Table:
    """Properties of some samples, with all that engines like to disagree about."""
    rng = random.Random(seed)
    begin = datetime.datetime(2020, 1, 1)
    return pa.table(
        {
            "lang": [rng.choice(["de", "en", "fr", "ﬁ", None]) for _ in range(rows)],
            "year": [rng.randrange(1995, 2024) for _ in range(rows)],
            "score": [rng.choice([0.0, -0.0, float("nan"), 1.5, -2.0, None]) for _ in range(rows)],
            "tags": [rng.choice([None, [], ["a"], ["b", None, "a"]]) for _ in range(rows)],
            "day": [begin.date() + datetime.timedelta(rng.randrange(900)) for _ in range(rows)],
            "seen": [begin + datetime.timedelta(seconds=rng.randrange(10**8)) for _ in range(rows)],
        },
        SCHEMA,
    )


def make(folder: Path) -> Corpus:
    """Write the payload, index it the plain way, and compile it."""
    parts = []
    for number, name in enumerate(FILES):
        known = facts(number)
        text = pa.array([f"{name} {row}" for row in range(ROWS)])
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(known.append_column("text", text), path, row_group_size=400)
        rows = pa.array(range(ROWS), pa.int32())
        parts.append(known.append_column("in_file", pa.array([name] * ROWS)).append_column("in_row", rows))
    spec = write(folder / "plain.yaml", {"path": str(folder / "data" / "**" / "*.parquet")}, {p: p for p in PROPERTIES})
    catalog = Catalog.open(str(folder / "plain"))
    catalog.index(spec, workers=1)
    return Corpus(folder, shuffled(pa.concat_tables(parts)), compile(spec, catalog).digest)


def shuffled(table: pa.Table) -> pa.Table:
    """The rows in no order, with a column under another name."""
    order = random.Random(7).sample(range(len(table)), len(table))
    names = ["language" if name == "lang" else name for name in table.column_names]
    return table.take(pa.array(order)).rename_columns(names)


def write(path: Path, source: Mapping[str, str], properties: Mapping[str, str] = PROPERTIES, more: str = "") -> Spec:
    """A spec of one source."""
    lines = [f"    {key}: {value}" for key, value in source.items()]
    named = ", ".join(f"{name}: {column}" for name, column in properties.items())
    body = "\n".join(["version: 1", "name: x", "sources:", "  web:", *lines, "    content: text"])
    path.write_text(f"{body}\n    properties: {{{named}}}\n{more}{MIXTURE}")
    return load(path)


def tabled(corpus: Corpus, at: Path, folder: Path, kind: str = "parquet", **more: str) -> Spec:
    """The spec of a table of the corpus, written into a folder."""
    source = {
        "table": f"{{format: {kind}, at: {at}}}",
        "keys": "{file: in_file, row: in_row}",
        "path": str(corpus.data),
        "format": "parquet",
        **more,
    }
    return write(folder / "table.yaml", source)


def keep(table: pa.Table, folder: Path, pieces: int = 3) -> Path:
    """Write a table as some Parquet files; returns their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    size = -(-len(table) // pieces)
    for number in range(pieces):
        pq.write_table(table.slice(number * size, size), folder / f"{number}.parquet")
    return folder
