"""Keys of a table that a team keeps already, which a source takes its properties from."""

from __future__ import annotations

from typing import Final

from mixtera.spec.section import TEXT, Key, Section

TABLE_FORMATS: Final = ("parquet", "iceberg", "delta")
KEY_NAMES: Final = ("file", "row", "offset", "length")
"""In the order in which they are kept."""

TABLE: Final = Section(
    "a table",
    (
        Key("format", {"enum": list(TABLE_FORMATS)}, "What it is kept as: parquet, iceberg or delta; with `at`."),
        Key(
            "at",
            TEXT,
            "Where it lies: a Parquet file, folder or glob; the folder of an Iceberg or Delta table, or a "
            "`.metadata.json`; the file of a database; relative to this file.",
        ),
        Key(
            "engine",
            TEXT,
            "In place of `format`: the engine whose database has it, such as postgres, or duckdb with `at`. That "
            "engine compiles the spec.",
        ),
        Key("name", TEXT, "With `engine`: its name there, a table or a view: SCHEMA.TABLE."),
    ),
)
TABLE_KEYS: Final = Section(
    "`keys`",
    (
        Key("file", TEXT, "Column with the file of a sample: its path below `path`, or the whole one.", required=True),
        Key("row", TEXT, "Column with the number of the sample in its file, from 0. For records at offsets: optional."),
        Key("offset", TEXT, "Column with the first byte of the record, for formats whose records lie at offsets."),
        Key("length", TEXT, "Column with its bytes, without the line end; with `offset`."),
    ),
)
