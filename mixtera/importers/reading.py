"""Reads a foreign file into nodes: bounded, UTF-8, YAML, JSON, or the YAML header of a Markdown page."""

from __future__ import annotations

import re
from typing import Final

from mixtera.importers.findings import Findings, refuse_secrets
from mixtera.importers.json_nodes import parse_json
from mixtera.spec.document import Mapping, Node, Text
from mixtera.spec.model import Place
from mixtera.spec.reading import parse_text, read_text

WHAT: Final = "a file to import"
_HEADER: Final = re.compile(r"\A\s*---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)


def text_of_file(file: str, findings: Findings, named_at: Place | None = None) -> Text | None:
    """The text of a local file; None where an issue says why there is none."""
    if "://" in file:
        message = f"import reads files of this machine only, not {file}: copy it here first"
        findings.wrong(named_at or Place(file, 1, 1), message)
        return None
    text = read_text(file, findings.issues, named_at, WHAT)
    if text is not None and not text.content.strip():
        findings.wrong(Place(file, 1, 1), "the file is empty")
        return None
    return text


def is_json(text: Text) -> bool:
    """Whether a text begins like a JSON document."""
    return text.content.lstrip()[:1] in ("{", "[")


def header_of(text: Text) -> Text | None:
    """The YAML header of a Markdown page, its lines where they were; None where there is none."""
    found = _HEADER.match(text.content)
    if found is None:
        return None
    lines_before = text.content.count("\n", 0, found.start("yaml"))
    return Text(text.file, "\n" * lines_before + found["yaml"])


def nodes_of(text: Text, findings: Findings) -> Node | None:
    """The nodes of a YAML or JSON text; None where an issue says why there are none. No secrets are among them."""
    before = len(findings.issues.found)
    parsed = parse_json(text, findings.issues) if is_json(text) else parse_text(text, findings.issues, WHAT)
    if parsed is not None:
        refuse_secrets(parsed, findings)
    return None if len(findings.issues.found) > before else parsed


def nodes_of_file(file: str, findings: Findings, named_at: Place | None = None) -> Mapping | None:
    """The mapping that a YAML or JSON file holds; None where an issue says why there is none."""
    text = text_of_file(file, findings, named_at)
    root = None if text is None else nodes_of(text, findings)
    if root is not None and not isinstance(root, Mapping):
        findings.wrong(root.place, "expected a mapping with keys")
        return None
    return root if isinstance(root, Mapping) else None
