"""`mixtera init`: writes a commented first spec, guessed from data files."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mixtera.cli.output import note, write
from mixtera.errors import PluginError, SpecError, StorageError

if TYPE_CHECKING:
    from mixtera.cli.discovery import Found
    from mixtera.contracts.storage import FileInfo

NAME: Final = "init"
HELP: Final = "write a commented first spec for some data files"
_PLAIN: Final = re.compile(r"[A-Za-z_/.*][A-Za-z0-9_/.*-]*")
_WORDS: Final = {"true", "false", "null"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A source of the spec to be written."""

    name: str
    paths: tuple[str, ...]
    format: str
    found: Found


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("data", nargs="+", metavar="DATA", help="data files, globs or folders")
    parser.add_argument("-o", "--output", metavar="FILE", help="the spec to write (default: stdout); never overwritten")
    parser.add_argument("--name", help="name of the spec (default: the output's name, or `mixture`)")


def run(arguments: argparse.Namespace) -> int:
    """Look into the files, write the spec."""
    output = arguments.output
    folder = Path(output or "spec").absolute().parent
    text = spec_text(arguments.name or (Path(output).stem if output else "mixture"), _drafts(arguments.data, folder))
    if output is None:
        write(text)
        return 0
    _create(Path(output), text)
    note(arguments, f"wrote {output}; next: mixtera check {output}, mixtera index {output}")
    return 0


def _create(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise StorageError(f"{path} is there already: init overwrites nothing; give another -o") from error


def _drafts(data: Sequence[str], folder: Path) -> list[Draft]:
    from mixtera import registry
    from mixtera.cli.discovery import look_into
    from mixtera.cli.partitions import with_partitions

    drafts: list[Draft] = []
    for (home, kind), files in _groups(data).items():
        storage = registry.storage_of(files[0].url)
        names = {draft.name for draft in drafts}
        patterns = _patterns(home, kind, files)
        found = with_partitions(look_into(kind, storage, files), patterns, files)
        drafts.append(Draft(_source_name(home, names), tuple(_shown(path, folder) for path in patterns), kind, found))
    return drafts


def _groups(data: Sequence[str]) -> dict[tuple[str, str], list[FileInfo]]:
    """(folder, format) → files. Folders named `key=value` of one key are one, named `key={key}`."""
    from mixtera import registry
    from mixtera.cli.discovery import DESCRIBING
    from mixtera.cli.partitions import partitioned

    groups: dict[tuple[str, str], dict[str, FileInfo]] = {}
    for word in data:
        pattern = f"{word.rstrip('/')}/**/*" if "://" not in word and Path(word).is_dir() else word
        for file in registry.storage_of(pattern).expand([pattern]):
            kind = registry.format_of(file.url)
            if pattern != word and os.path.basename(file.url) in DESCRIBING:  # noqa: PTH119 - a URL too
                continue
            if kind is None and pattern == word:
                known = ", ".join(registry.names("formats"))
                raise PluginError(f"{file.url}: no installed format has this suffix; formats: {known}")
            if kind is not None:
                home = partitioned(os.path.dirname(file.url))  # noqa: PTH120 - a URL too
                groups.setdefault((home, kind.name), {})[file.url] = file
    if not groups:
        raise PluginError(f"no data files in {', '.join(data)}; formats: {', '.join(registry.names('formats'))}")
    return {key: list(files.values()) for key, files in groups.items()}


def _patterns(home: str, kind: str, files: Sequence[FileInfo]) -> list[str]:
    """One glob where it means exactly these files, else the files."""
    from mixtera import registry
    from mixtera.spec.captures import as_glob, captured_names

    suffixes = sorted(registry.format_named(kind).suffixes, key=len, reverse=True)
    endings = {next(end for end in suffixes if file.url.lower().endswith(end)) for file in files}
    urls = {file.url for file in files}
    pattern = f"{home}/*{endings.pop()}" if len(endings) == 1 else ""
    if (len(files) > 1 or captured_names(home)) and pattern and not re.search(r"[*?\[]", home):
        matching = registry.storage_of(pattern).expand([as_glob(pattern)])
        if {file.url for file in matching} == urls:
            return [pattern]
    return sorted(urls)


def _shown(path: str, folder: Path) -> str:
    if "://" in path or not Path(path).is_relative_to(folder):
        return path
    return str(Path(path).relative_to(folder))


def _source_name(home: str, taken: set[str]) -> str:
    plain = [part for part in home.split("/") if "={" not in part]
    base = re.sub(r"[^A-Za-z0-9_.-]+", "-", plain[-1]).strip("-.")[:80] or "data"
    numbered = (f"{base}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (base, *numbered) if name not in taken)


def spec_text(name: str, drafts: Sequence[Draft]) -> str:
    """The spec as text.

    Raises:
        SpecError: No field of some source holds text.
    """
    lines = [
        "# A first spec, guessed from the data. Keep what is right; `mixtera check` tells what is wrong.",
        "version: 1",
        f"name: {_quoted(name)}",
        "",
        "sources:",
    ]
    known: dict[str, tuple[str, str]] = {}
    for draft in drafts:
        lines += _source_lines(draft, known)
    lines += ["", "# filter: drops samples before mixing, such as: year >= 2015 or year is None", "", "mixture:"]
    lines += ["  by: dataset              # one component per source; or list `components:` with `where` and `weight`"]
    lines += ["  weights: natural         # natural | uniform | {values: {…}}"]
    lines += ["  on_exhaust: stop         # stop | redistribute | repeat | error", ""]
    lines += ["order:", "  seed: 1", "  shuffle: global          # global | none"]
    lines += ["  lanes: 16                # as many as the job has readers: ranks × workers"]
    lines += ["  granule: 32              # best the batch size of a rank"]
    return "\n".join(lines) + "\n"


def _source_lines(draft: Draft, known: dict[str, tuple[str, str]]) -> list[str]:
    from mixtera.errors import Issue

    if not draft.found.content:
        raise SpecError(
            [Issue(draft.paths[0], 1, 1, "no field holds text: init cannot tell the content; write the spec")]
        )
    paths = ", ".join(_quoted(path) for path in draft.paths)
    return [
        f"  {_quoted(draft.name)}:",
        f"    path: {paths if len(draft.paths) == 1 else f'[{paths}]'}",
        f"    format: {draft.format}",
        f"    content: {_content(draft.found.content)}          # the field that training reads",
        *(["    properties:"] if draft.found.properties else []),
        *_property_lines(draft, known),
    ]


def _content(columns: Mapping[str, str]) -> str:
    """One field, or, where the columns have names of their own, a mapping."""
    if list(columns) == ["text"]:
        return _quoted(columns["text"])
    return "{" + ", ".join(f"{name}: {_quoted(path)}" for name, path in columns.items()) + "}"


def _property_lines(draft: Draft, known: dict[str, tuple[str, str]]) -> list[str]:
    """One line a property. `known` has the name and type that each property has in the sources before.

    A name with another type than before gets the source's name in front: a property has one type.
    """
    from mixtera.spec.captures import capture_of

    prefix = re.sub(r"[^A-Za-z0-9_]", "_", f"_{draft.name}" if draft.name[0].isdigit() else draft.name)
    lines = []
    for name, (path, kind) in draft.found.properties.items():
        spelling, before = known.setdefault(name.casefold(), (name, kind))
        shown = spelling if kind == before else f"{prefix}_{name}"
        capture = capture_of(path)
        origin = f"path: {_quoted(path)}" if capture is None else f"capture: {capture}"
        lines.append(f"      {shown}: {{{origin}, type: {kind}}}")
    return lines


def _quoted(text: str) -> str:
    plain = _PLAIN.fullmatch(text) and not text.startswith("*") and text.casefold() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)
