"""Small corpora of JSON lines, and the specs that describe them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from mixtera.contracts.properties import PropertyType
from mixtera.spec.model import BadSamples, ContentField, Listed, Mixture, Order, Place, Property, Source, Spec

HERE = Place("spec.yaml", 3, 5)
LANGUAGES = ("en", "de", "fr")


def record(number: int) -> dict[str, object]:
    return {
        "text": f"sample {number}",
        "meta": {"language": LANGUAGES[number % 3], "year": 2000 + number % 20},
        "tags": ["a", "b", "c"][: number % 4],
        "score": number / 7,
    }


def write_lines(path: Path, numbers: Iterable[int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record(number)) + "\n" for number in numbers), encoding="utf-8")
    return path


def spoil(path: Path) -> None:
    """Make a file unreadable as JSON lines but leave its fingerprint: whoever reads it again will fail."""
    facts = path.stat()
    path.write_bytes(b"}" * (facts.st_size - 1) + b"\n")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line)


def touch_later(path: Path) -> None:
    """Move a file's time of change, so that it counts as changed whatever the clock's resolution."""
    facts = path.stat()
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1_000_000_000))


def properties(**paths: str | tuple[str, PropertyType]) -> tuple[Property, ...]:
    given = {name: (path, None) if isinstance(path, str) else path for name, path in paths.items()}
    return tuple(Property(name, path, type_, HERE) for name, (path, type_) in given.items())


ALL = properties(language="meta.language", year="meta.year", tags="tags", score="score")


def source(
    paths: Path | Sequence[Path],
    wanted: tuple[Property, ...] = ALL,
    bad: BadSamples | None = None,
    name: str = "web",
    content: str = "text",
) -> Source:
    patterns = (paths,) if isinstance(paths, Path) else tuple(paths)
    return Source(
        name, tuple(map(str, patterns)), "jsonl", (ContentField("text", content),), wanted, bad or BadSamples(), HERE
    )


def spec(*sources: Source) -> Spec:
    return Spec("test", sources, None, Mixture("samples", Listed(()), "stop", None), Order(), HERE.file)
