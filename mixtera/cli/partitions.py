"""Directories named `key=value`, as Hive, Spark and pyarrow write them: what `init` makes of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mixtera.cli.discovery import Found, identifier
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo
from mixtera.spec.captures import Captures, captured_names

_PART: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=[^{}]+")
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})")


def partitioned(folder: str) -> str:
    """The folder of a file with `key={key}` for parts like `key=value`; each key once, and only names of properties."""
    seen: set[str] = set()
    parts = []
    for part in folder.split("/"):
        match = _PART.fullmatch(part)
        name = match[1] if match else ""
        if match and name not in seen and identifier(name) == name:
            seen.add(name)
            part = f"{name}={{{name}}}"
        parts.append(part)
    return "/".join(parts)


def with_partitions(found: Found, patterns: Sequence[str], files: Sequence[FileInfo]) -> Found:
    """What was found in files, and what their paths capture; a field of the same name gives way to the path."""
    names = [name for pattern in patterns for name in captured_names(pattern)]
    if not names:
        return found
    captures = Captures(patterns)
    values = [captures.values(file.url) for file in files]
    of_path = {name: (f"{{{name}}}", _type({one.get(name) for one in values})) for name in names}
    folded = {name.casefold() for name in names}
    of_records = {name: origin for name, origin in found.properties.items() if name.casefold() not in folded}
    return replace(found, properties={**of_path, **of_records})


def _type(values: set[str | None]) -> PropertyType:
    texts = [value for value in values if value is not None]
    return "int64" if texts and all(_INTEGER.fullmatch(text) for text in texts) else "string"
