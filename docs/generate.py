"""Writes the pages of docs/reference that are made from the program itself: `make docs`."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path

from mixtera import registry
from mixtera.cli.main import COMMANDS, Command
from mixtera.contracts.algorithm import Algorithm, Option
from mixtera.contracts.engine import CAPABILITIES, Engine, gaps_of
from mixtera.contracts.engine import Configurable as ConfigurableEngine
from mixtera.contracts.format import Format
from mixtera.contracts.holding import held_in
from mixtera.contracts.storage import Configurable, Storage

REFERENCE = Path(__file__).parent / "reference"
PROGRAM = str(Path(sys.executable).with_name("mixtera"))
HEAD = """# The command line

Written by `make docs` from the help of the program. Exit codes: 0 done, 1 the input is wrong, 2 usage, 3 something
outside failed (storage, network). Results go to stdout, progress and errors to stderr.
"""

ALGORITHMS_HEAD = """# Mixing algorithms

Written by `make docs` from the algorithms themselves. `dynamic: {algorithm: NAME, options: {…}}` in a spec names one
([how to](../how-to/dynamic-mixtures.md)). K is the number of components; a softmax is over all of them.

Every algorithm comes through the entry point group `mixtera.algorithms`, as a plugin of yours would, and passes
`mixtera.testing.algorithm.AlgorithmLaws`.
"""
ALGORITHMS_FOOT = """
## ADO: whose formulas

`profile` chooses what three options are by default; each can be set alone.

| | `official` | `paper` |
| --- | --- | --- |
| `history` | `realised`: h follows the shares of the batches | `policy`: h follows the weights |
| `samples` | `batch`: n is the same for all, and cancels | `own`: n is that of the component |
| `least_exponent` | 0.05 | 0 |

`official` is what the authors' code does since 2024-12-09 (the release before it had sqrt(h·(1 − h))), with these
differences: losses are means over tokens, not means of sample means; a step without any loss is none; with `lag: 1` a fit
counts one step later; searches begin at 8 points of the grid instead of all 512 (`starts`), by L-BFGS-B in float64; when
no component has anything to gain the preference is μ. `paper` is our reading of its formulas (arXiv 2410.11820); its authors'
code is the other profile.

Facts worth knowing: in `official`, 1/n cancels, and only max(α, 0.05)·(L − ε) matters. With `start: 500` and `ignore: 1000`
the first fit sees one point. The penalties that keep a law sane have weight 1 beside a sum over points, so they weaken as
the run goes on. The bounds on a law (a below 6.5, α below 0.8) are made for n in samples of about 1,000 tokens.

## What they are given

| field of a report | by component | |
| --- | --- | --- |
| `step` | | from 0 |
| `loss_sum`, `loss_count` | yes | over the tokens of a step that count; 0 where a component did not come |
| `samples` | yes | of the batch |
| `scalars` | yes | other numbers by name: `weights` for `external` |

A report of a step that is not after the last one changes nothing, be it late or the same again. Steps may be missing. A
loss or count that is NaN, infinite or negative makes its component one that did not come in that step. A report with
another number of components is an error.

## Your own

The contract is `mixtera.contracts.algorithm.Algorithm`; a subclass of `AlgorithmLaws` with its name tests it.
"""  # noqa: E501 - rows of a table
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
from 1, for formats with byte offsets (the line of JSONL; the record of CSV, its header not counted; the sample of a
tar), and `file#row`, from 0, for others. A file that as a whole is not of its format (cut short, another magic number,
a broken header, something behind the last frame of a compressed file) is an error under every policy.

## Types

| property type | jsonl | parquet, arrow | csv |
| --- | --- | --- | --- |
| `string` | string | string, large, view or dictionary of these | any field |
| `int64` | `5`, not `5.0` | any integer; float without a fraction | digits, with a sign or without |
| `float64` | number | float, decimal, integer up to 2^53 | decimal number, `nan` (NULL), `inf` |
| `bool` | true, false | bool | `true`, `false`, `1`, `0` in any case (only the words are guessed) |
| `date` | string as in ISO 8601, declared | date; timestamp or string, declared | ISO 8601 |
| `timestamp` | string as in RFC 3339, declared | timestamp, date; string, declared | ISO 8601, without a zone UTC |
| `list<…>` | list; `list[*].key` of objects | list of strings, integers or floats; `list[*].key` of structs | none |

What a JSON member of WebDataset holds is read as in JSONL, a member of its own (`cls`) likewise, or as text.

NULL, a field that is missing and NaN are NULL; a NULL list is an empty one. Dates and timestamps of columns lie in the
years 1 to 9999; others are bad samples, since the unit of the column is mostly wrong then.
"""
STORAGES_HEAD = """# Storages

Written by `make docs` from the storages themselves. A storage lists, describes and opens files. The scheme of a path
chooses it; a path without one is local, or on Lustre.

Every storage comes through the entry point group `mixtera.storage`, as a plugin of yours would, and passes
`mixtera.testing.storage.StorageLaws`.
"""
STORAGES_MIDDLE = """
| | local | lustre | s3 | fsspec |
| --- | --- | --- | --- | --- |
| needs | – | – (`lfs` is of use) | `pip install "mixtera[s3]"` | the package of the scheme, and for http `aiohttp` |
| patterns | `*`, `?`, `[…]`, `**` | the same | the same over keys | the same; over http where the server lists folders |
| listing | each folder once | each folder once | 1,000 keys a request, below the fixed part | each folder once |
| fingerprint | size, time in nanoseconds | the same | size, time in seconds, etag | size, and time and etag where there are any |
| a changed file is found | when it is opened | when it is opened, by its descriptor | with every read | when it is opened |
| tried again | – | – | reads for up to 180 s, listings and descriptions 6 times | 8 times, for up to 120 s |
| plans and locks | yes | yes | yes | where the package can write |
| catalogs | yes | yes, where `flock` works | yes, where the server knows `If-None-Match` | no |
| secrets | – | – | environment and `~/.aws` only | as the package wants them, never in a spec |

A leading dot is matched only where it is written. What cannot be read is a `StorageError` (exit code 3); a package that
is not installed is a `PluginError` that names it.
"""  # noqa: E501 - rows of a table
STORAGES_FOOT = """
## Options in a spec

```yaml
storage:
  s3: {endpoint_url: "http://minio.lab:9000", profile: research, request_bytes: 8MiB, max_requests_per_second: 200}
  s3://public-bucket/: {anonymous: true}       # a URL prefix: for what lies below it, and stronger than the name
  lustre: {stripe_bytes: 4MiB}
  http: {encoded: true}                        # a scheme of fsspec's: handed to its file system as it is
```

They hold for the sources of the spec. A plan keeps them, outside its digest; on a machine where something else is
right, the variables above have the last word. For specs, locks, plans and exclusion lists at a URL only the environment
counts. Whatever is named like a secret (`key`, `secret`, `token`, `password`, …) is refused.

## Plans and locks on a storage

`mixtera compile -o s3://bucket/plans/web`, `Plan.open("s3://bucket/plans/web")`, `mixtera lock` with a spec at a URL.
The files of a plan are written first, into a folder of their own, and `plan.json` last: nobody finds half a plan, and
who read the older one goes on. Old folders are not removed. The first process of a machine that opens a plan copies it
to `MIXTERA_CACHE` (default: `~/.cache/mixtera`), the others wait and share the copy, which is mapped into memory. It
may be deleted when nobody reads it. Arrays above 64 MiB (`MIXTERA_PAGED_BYTES`) come in pages when they are needed, so
the plan must stay at its URL ([plans of very many samples](../how-to/s3.md#plans-of-very-many-samples)).

## Catalogs on a storage

`mixtera index SPEC --catalog s3://bucket/catalog`, and the same URL for every other command, or `MIXTERA_CATALOG`.
Any number of machines may read and index at the same time: a commit is an object with a number, written only where
there is none, and who finds his number taken looks at what the other has done and commits again. A reader keeps to
the state that it found when it opened the catalog. Files are copied to `MIXTERA_CACHE` (default: `~/.cache/mixtera`)
when they are needed; the copies may be deleted when nobody works with them, but work of a killed `index` lies there
too, which the next one on this machine uses. Only the environment says whose rights count, which are `s3:GetObject`,
`s3:ListBucket`, and to index also `s3:PutObject` and `s3:DeleteObject`. Why so: [decision
0022](../decisions/0022-catalogs-at-urls.md).

A server that does not know `If-None-Match` is refused when the catalog is made. A catalog on Lustre, or any shared
file system, is a directory and needs a mount with `flock` (or `localflock` with one writing machine); without, the
error says so.

## Your own

The contract is `mixtera.contracts.storage.Storage`. A storage may do more, each a contract beside it: `Pinning` tells
with every read whether an object is another one, `Recognising` takes some paths of this machine (and has
an entry point in the group `mixtera.paths` too), `AnyScheme` takes what nobody else has, `Writing` holds plans and
locks, `Creating` catalogs too, `Configurable` takes options.
"""
STORAGE_NOTES = {
    "s3": """
**Keys.** A key stands in a URL as it is: nothing is escaped, `%20` are three characters. Keys that end with `/` count
as folders. Ranges are read in blocks of 32 KiB that are kept, in memory and then in a temporary file; without them,
gaps are read along.
How to: [Data on S3](../how-to/s3.md).
""",
    "lustre": """
A read is a whole number of stripes, neighbours in one call; wider stripes than 4 MiB are read in parts of them. A file
is opened once by each reader (twice, where its format looks whether it is compressed), described through its open
descriptor, and never by its path. How to: [Data on Lustre](../how-to/lustre.md).
""",
    "fsspec": """
A package that is not installed is named by the error. Options of a spec, and those of fsspec's own configuration
(`FSSPEC_…` variables, `~/.config/fsspec`), go to its file system. Chains work: `zip://*.jsonl::https://host/all.zip`,
`simplecache::https://host/a.jsonl`. A web server must support ranges and say how large files are; `?` begins a query
where a `=` follows. A request of http takes 60 s at most; endless redirects and unknown hosts are refused at once.
Tried with real servers and file systems: http, memory, zip (plain and over http). Not tried: all others.
""",
}
ENGINES_HEAD = """# Engines

Written by `make docs` from the engines themselves. An engine reads the catalog's tables and labels the samples of a
spec; everything else is Mixtera's own, so a plan has the same digest whichever engine has compiled it. `--engine NAME`
of a command, or `engine="NAME"` of `mixtera.compile`, chooses it ([how to](../how-to/engines.md)).

Every engine comes through the entry point group `mixtera.engines`, as a plugin of yours would, and passes
`mixtera.testing.engine.EngineLaws`, or declares that it does not run. What it cannot do is a declared gap, and an
`EngineError` (exit code 3) when it is asked for:

- `notimpl`: it could, Mixtera does not yet;
- `notyet`: the engine, or Ibis, does not yet;
- `never`: it has no meaning there.
"""
ENGINES_FOOT = """
## Your own

The contract is `mixtera.contracts.engine.Engine`; `Configurable` takes options, `Declaring` has gaps, and
`mixtera.contracts.holding.Holding` has tables that sources can name. A subclass of `EngineLaws` that makes a session
tests it, and one of `mixtera.testing.holding.HoldingLaws` its tables.
"""
HELD = "([how to](../how-to/existing-tables.md#a-table-in-a-database))."
NOTES = {
    "jsonl": """
- A line is a sample: one object, UTF-8. Blank lines are none; a byte order mark and carriage returns are passed over.
  Of a key that an object has twice, the last value counts. Fields that nobody asks for need not be valid UTF-8.
- Properties and content by dotted paths into the object; properties also of the elements of lists (`names[*].first`).
- Lines are read alone, by byte offset. A compressed file of many frames is read frame by frame, any other is
  decompressed once, into a temporary file or the spool that `MIXTERA_SPOOL` names: see
  [compressed data](../how-to/compressed.md).
- Bad samples: malformed JSON, a line that is no object, content that is missing or no string, a value that is not of
  the property's type, a line of more than 256 MiB.
""",
    "parquet": """
- A row is a sample. Properties and content are columns, fields of structs by dotted paths; properties also of the
  elements of lists (`names[*].first`).
- Row groups are read as a whole and kept while there is room; only the columns that are needed. Where pages have
  checksums, these are checked.
- Indexing reads the footer and the columns of properties. It reads content only where it may be NULL: text that is not
  valid UTF-8, and a page that is damaged, are errors when they are read, and name the file.
- Bad samples: NULL content, a value that is not of the property's type, a text of a property that is not valid UTF-8.
- Refused as a whole: a file whose footer is not whole, two columns of one name where that one is asked for.
""",
}
WIDTH = 110
"""Columns of the help of commands."""
PACKED = (".gz", ".zst", ".bz2", ".xz")


def _output(*arguments: str) -> str:
    environment = {**os.environ, "COLUMNS": str(WIDTH)}
    done = subprocess.run([PROGRAM, *arguments], check=True, capture_output=True, text=True, env=environment)
    return done.stdout.strip()


def command_line() -> str:
    """The help of every command, as a page."""
    parts = []
    for command in COMMANDS:
        parts.append(f"## mixtera {command.name}\n\n```text\n{_output(command.name, '--help')}\n```\n")
        parts += [f"### mixtera {name}\n\n```text\n{text}\n```\n" for name, text in _actions(command)]
    return "\n".join([HEAD, *parts])


def _actions(command: Command) -> Iterator[tuple[str, str]]:
    """The actions of a command that has some, such as `catalog ls`, and the help of each."""
    parser = argparse.ArgumentParser(prog=f"mixtera {command.name}", formatter_class=_Wide)
    importlib.import_module(command.module).configure(parser)
    for group in parser._actions:
        if isinstance(group, argparse._SubParsersAction):
            for name, action in group.choices.items():
                action.formatter_class = _Wide
                yield f"{command.name} {name}", action.format_help().strip()


class _Wide(argparse.HelpFormatter):
    """Lines as long as those of the other commands."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=WIDTH - 2)


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
    alone = "alone, by byte offset" if found.offsets != "never" else "by row, see below"
    names = [" ".join(f"`{suffix}`" for suffix in part) or "no" for part in (plain, packed)]
    return f"| [{found.name}](#{found.name}) | {names[0]} | {names[1]} | {alone} |"


def _section(found: Format) -> str:
    package = sys.modules[type(found).__module__.rpartition(".")[0]]
    return f"\n## {found.name}\n\n{inspect.getdoc(package)}\n{NOTES.get(found.name, '')}".rstrip()


def storages() -> str:
    """What each storage does, as a page: tables, options, and what its module says of itself."""
    shipped = [found for found in map(registry.storage_named, registry.names("storage")) if _is_backend(found)]
    rows = [
        "| storage | paths | one request, at most | ranges read as one | in flight |",
        "| --- | --- | --- | --- | --- |",
    ]
    sections = map(_storage_section, shipped)
    return (
        "\n".join([STORAGES_HEAD, *rows, *map(_storage_row, shipped)])
        + "\n"
        + STORAGES_MIDDLE
        + "\n".join([*sections, STORAGES_FOOT])
    )


def _is_backend(found: Storage) -> bool:
    return type(found).__module__.startswith("mixtera_backends.")


def _storage_row(found: Storage) -> str:
    profile = found.profile()
    paths = {"lustre": "paths on Lustre", "fsspec": "all other URLs"}.get(found.name) or ", ".join(
        f"`{scheme}://…`" for scheme in found.schemes
    )
    sizes = f"{profile.request_bytes >> 20} MiB | gaps up to {profile.gap_bytes >> 10} KiB | {profile.concurrency}"
    return f"| [{found.name}](#{found.name}) | {paths} | {sizes} |"


def _storage_section(found: Storage) -> str:
    module = sys.modules[type(found).__module__]
    package = sys.modules[module.__name__.rpartition(".")[0]] if module.__name__.endswith(".storage") else module
    options = found.options if isinstance(found, Configurable) else ()
    rows = [f"| `{o.name}` | {o.kind} | {o.meaning} | `{o.variable}` |" for o in options]
    table = ["", "| option | kind | meaning | variable |", "| --- | --- | --- | --- |", *rows] if rows else []
    lines = [f"\n## {found.name}\n", str(inspect.getdoc(package)), STORAGE_NOTES.get(found.name, "").rstrip(), *table]
    return "\n".join(line for line in lines).rstrip()


def algorithms() -> str:
    """What each algorithm does, as a page: what its class says of itself, and its options."""
    found = [registry.algorithm_named(name) for name in registry.names("algorithms")]
    shipped = [each for each in found if type(each).__module__.startswith("mixtera.")]
    rows = [
        "| algorithm | what it does |",
        "| --- | --- |",
        *(f"| [{a.name}](#{a.name}) | {a.meaning} |" for a in shipped),
    ]
    return "\n".join([ALGORITHMS_HEAD, *rows, *map(_algorithm_section, shipped)]) + "\n" + ALGORITHMS_FOOT


def _algorithm_section(found: Algorithm) -> str:
    rows = [f"| `{o.name}` | {_values(o)} | {_default(o)} | {o.meaning} |" for o in found.options]
    table = ["", "| option | value | default | meaning |", "| --- | --- | --- | --- |", *rows] if rows else []
    return "\n".join([f"\n## {found.name}\n", str(inspect.getdoc(type(found))), *table])


def _values(option: Option) -> str:
    words = ", ".join(f"`{word}`" for word in option.choices)
    return words or option.expected


def _default(option: Option) -> str:
    if option.default is None:
        return "required" if option.required else "–"
    return f"`{str(option.default).lower()}`"


def engines() -> str:
    """What each engine does, as a page: the capabilities and declared gaps, options, and what its module says."""
    found = [registry.engine_class(name) for name in registry.names("engines")]
    shipped = [each for each in found if each.__module__.startswith("mixtera_backends.")]
    rows = [
        f"| engine | needs | {' | '.join(CAPABILITIES.values())} |",
        "| --- " * (len(CAPABILITIES) + 2) + "|",
        *map(_engine_row, shipped),
    ]
    return "\n".join([ENGINES_HEAD, *rows, *map(_engine_section, shipped)]) + "\n" + ENGINES_FOOT


def _engine_row(engine: type[Engine]) -> str:
    extras = metadata("mixtera").get_all("Provides-Extra") or ()
    needs = f"`mixtera[{engine.name}]`" if engine.name in extras else "–"
    return f"| [{engine.name}](#{engine.name}) | {needs} | {' | '.join(_able(engine, name) for name in CAPABILITIES)} |"


def _able(engine: type[Engine], capability: str) -> str:
    gaps = gaps_of(engine)
    if capability in gaps:
        return f"`{gaps[capability].kind}`"
    return "–" if "run" in gaps and capability != "sql" else "yes"


def _engine_section(engine: type[Engine]) -> str:
    gaps = [f"- `{gap.kind}`: {CAPABILITIES[name]}. {gap.why}" for name, gap in gaps_of(engine).items()]
    options = engine.options if isinstance(engine, ConfigurableEngine) else ()
    rows = [f"| `{o.name}` | {o.kind} | {o.meaning} | `{o.variable}` |" for o in options]
    table = ["", "| option | kind | meaning | variable |", "| --- | --- | --- | --- |", *rows] if rows else []
    lines = [f"\n## {engine.name}\n", str(inspect.getdoc(sys.modules[engine.__module__]))]
    if (place := held_in(engine)) is not None:
        at = ", at: FILE" if place == "file" else ""
        named = f"`table: {{engine: {engine.name}{at}, name: SCHEMA.TABLE}}`"
        lines += ["", f"Sources can name tables of it: {named} {HELD}"]
    return "\n".join([*lines, *(["", *gaps] if gaps else []), *table])


def main() -> None:
    """Write the pages."""
    REFERENCE.mkdir(exist_ok=True)
    (REFERENCE / "command-line.md").write_text(command_line(), encoding="utf-8")
    (REFERENCE / "algorithms.md").write_text(algorithms(), encoding="utf-8")
    (REFERENCE / "engines.md").write_text(engines(), encoding="utf-8")
    (REFERENCE / "formats.md").write_text(formats(), encoding="utf-8")
    (REFERENCE / "storage.md").write_text(storages(), encoding="utf-8")
    (REFERENCE / "spec.schema.json").write_text(_output("schema") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
