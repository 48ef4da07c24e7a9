"""Small specs that the tests share."""

import textwrap
from pathlib import Path

from mixtera.errors import Issue, SpecError
from mixtera.spec import Spec, load

SOURCES = """\
version: 1
name: small
sources:
  web:
    path: data/*.jsonl
    format: jsonl
    content: text
    properties:
      language: meta.language
      license: {path: meta.license, type: string}
      year: {path: meta.year, type: int64}
      quality: {path: meta.quality, type: float64}
      crawled: {path: meta.crawled, type: date}
      seen: {path: meta.seen, type: timestamp}
      spam: {path: meta.spam, type: bool}
      topics: {path: meta.topics, type: list<string>}
  code:
    path: [a.jsonl, s3://bucket/code/**/*.jsonl]
    format: jsonl
    content: {text: body}
    properties: {language: lang}
"""
NATURAL = "mixture: {by: dataset, weights: natural}\n"


def write(folder: Path, text: str, name: str = "spec.yaml") -> Path:
    """Write a spec file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def loaded(folder: Path, tail: str = NATURAL) -> Spec:
    """The spec of SOURCES and a tail."""
    return load(write(folder, SOURCES + textwrap.dedent(tail)))


def issues_of(path: Path | str) -> tuple[Issue, ...]:
    """The issues of a spec file; none where it is right."""
    try:
        load(path)
    except SpecError as error:
        return error.issues
    return ()
