"""Writes the pages of docs/reference that are made from the program itself: `make docs`."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

from mixtera import registry
from mixtera.cli.main import COMMANDS
from mixtera.contracts.format import Format

REFERENCE = Path(__file__).parent / "reference"
PROGRAM = str(Path(sys.executable).with_name("mixtera"))
HEAD = """# The command line

Written by `make docs` from the help of the program. Exit codes: 0 done, 1 the input is wrong, 2 usage, 3 something
outside failed (storage, network). Results go to stdout, progress and errors to stderr.
"""

FORMATS_HEAD = """# Formats

Written by `make docs` from the formats themselves. The format of a source is that of the suffix of its paths, or the
one that `format:` names. When the content is of another format than that, the error says what it looks like.

Every format comes through the entry point group `mixtera.formats`, as a plugin of yours would, and passes
`mixtera.testing.format.FormatLaws`; what a format cannot hold is declared there as a gap.
"""
FORMATS_FOOT = """
## Bad samples

A record that cannot be used is a bad sample. With `on_bad_sample: fail` (the default) the first file that has some ends
the indexing, and the message shows up to five of them: file, place, reason and the first bytes. With `skip` they are
counted, with `quarantine` also written down: `mixtera catalog show SOURCE --quarantine` says file, row, byte offset
where the format has one, reason and first bytes. A `limit` counts for the whole source. The place is `file:number`,
from 1, for formats with byte offsets (the line of JSONL; the record of CSV, its header not counted), and `file#row`,
from 0, for others. A file that as a whole is not of its format (cut short, another magic number, a broken header) is
an error under every policy.

## Types

| property type | jsonl | parquet, arrow | csv |
| --- | --- | --- | --- |
| `string` | string | string, large, view or dictionary of these | any field |
| `int64` | number without a fraction | any integer; float without a fraction | digits, with a sign or without |
| `float64` | number | float, decimal, integer up to 2^53 | decimal number, `nan` (NULL), `inf` |
| `bool` | true, false | bool | `true`, `false`, `1`, `0` in any case (only the words are guessed) |
| `date` | string as in ISO 8601, declared | date; timestamp or string, declared | ISO 8601 |
| `timestamp` | string as in RFC 3339, declared | timestamp, date; string, declared | ISO 8601, without a zone UTC |
| `list<…>` | list; `list[*].key` of objects | list of strings, integers or floats; `list[*].key` of structs | none |

NULL, a field that is missing and NaN are NULL; a NULL list is an empty one.
"""
NOTES = {
    "jsonl": """
- A line is a sample: one object, UTF-8. Blank lines are none; a byte order mark and carriage returns are passed over.
- Properties and content by dotted paths into the object; properties also of the elements of lists (`names[*].first`).
- Lines are read alone, by byte offset. A compressed file is decompressed once per process into a temporary file
  (`MIXTERA_SPOOL` says where).
- Bad samples: malformed JSON, a line that is no object, content that is missing or no string, a value that is not of
  the property's type, a line of more than 256 MiB.
""",
    "parquet": """
- A row is a sample. Properties and content are columns, fields of structs by dotted paths; properties also of the
  elements of lists (`names[*].first`).
- Row groups are read as a whole and kept while there is room; only the columns that are needed.
- Bad samples: NULL content, a value that is not of the property's type.
""",
}
PACKED = (".gz", ".zst", ".bz2", ".xz")


def _output(*arguments: str) -> str:
    environment = {**os.environ, "COLUMNS": "110"}
    done = subprocess.run([PROGRAM, *arguments], check=True, capture_output=True, text=True, env=environment)
    return done.stdout.strip()


def command_line() -> str:
    """The help of every command, as a page."""
    parts = [f"## mixtera {c.name}\n\n```text\n{_output(c.name, '--help')}\n```\n" for c in COMMANDS]
    return "\n".join([HEAD, *parts])


def formats() -> str:
    """What each format does, as a page: a table, and what its package says of itself."""
    shipped = [found for found in map(registry.format_named, registry.names("formats")) if _is_shipped(found)]
    rows = ["| format | suffixes | compressed as a whole | a sample is read |", "| --- | --- | --- | --- |"]
    return "\n".join([FORMATS_HEAD, *rows, *map(_row, shipped), *map(_section, shipped)]) + "\n" + FORMATS_FOOT


def _is_shipped(found: Format) -> bool:
    return type(found).__module__.startswith("mixtera.")


def _row(found: Format) -> str:
    plain = [suffix for suffix in found.suffixes if not suffix.endswith(PACKED)]
    packed = [end for end in PACKED if any(suffix.endswith(end) for suffix in found.suffixes)]
    alone = "alone, by byte offset" if found.offsets == "always" else "by row, see below"
    names = [" ".join(f"`{suffix}`" for suffix in part) or "no" for part in (plain, packed)]
    return f"| [{found.name}](#{found.name}) | {names[0]} | {names[1]} | {alone} |"


def _section(found: Format) -> str:
    package = sys.modules[type(found).__module__.rpartition(".")[0]]
    return f"\n## {found.name}\n\n{inspect.getdoc(package)}\n{NOTES.get(found.name, '')}".rstrip()


def main() -> None:
    """Write the pages."""
    REFERENCE.mkdir(exist_ok=True)
    (REFERENCE / "command-line.md").write_text(command_line(), encoding="utf-8")
    (REFERENCE / "formats.md").write_text(formats(), encoding="utf-8")
    (REFERENCE / "spec.schema.json").write_text(_output("schema") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
