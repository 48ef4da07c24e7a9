"""Reads a spec file and what it includes; reports every problem at once."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from mixtera.errors import SpecError
from mixtera.spec import keys
from mixtera.spec.delivery import check_delivery, read_group
from mixtera.spec.document import Mapping
from mixtera.spec.fields import Fields
from mixtera.spec.include import Merged, read_merged
from mixtera.spec.issues import Issues, TooManyIssues
from mixtera.spec.known import Known
from mixtera.spec.lines import lines
from mixtera.spec.mixture import read_mixture
from mixtera.spec.model import Source, Spec
from mixtera.spec.order import read_order
from mixtera.spec.predicates import predicate_of
from mixtera.spec.sources import read_sources
from mixtera.spec.split import read_exclusions, read_holdout
from mixtera.spec.storage import read_storage
from mixtera.spec.tables import check_tokens
from mixtera.spec.tokens import read_tokens

_NEEDED: Final = {"sources": "named sets of files", "mixture": "components with weights, or `by`"}


def load(path: str | os.PathLike[str]) -> Spec:
    """Read and check a spec file.

    Args:
        path: The YAML file: a path or a URL.

    Returns:
        The spec. Predicates are checked against the types that the spec declares; types that are inferred are
        checked when the spec is compiled.

    Raises:
        SpecError: The file is wrong or cannot be read; `issues` holds all of its problems (the first thousand).
    """
    file, issues = os.fspath(path), Issues()
    spec = None
    with suppress(TooManyIssues):
        merged = read_merged(file, issues)
        spec = None if merged is None else _spec(file, merged, issues)
    if spec is None or issues.found:
        raise SpecError(issues.found)
    return spec


def _spec(file: str, merged: Merged, issues: Issues) -> Spec | None:
    fields = Fields(merged.root, keys.SPEC, issues)
    if merged.whole:
        _check_needed(fields, issues)
    sources, known = _sources(fields, merged.whole, issues)
    if storage := read_storage(fields, issues):
        sources = tuple(replace(source, storage=storage) for source in sources)
    tokens = read_tokens(fields, sources, issues)
    check_tokens(sources, tokens, issues)
    known = replace(known, tokens=tokens)
    where = fields.node("filter")
    predicate = None if where is None else predicate_of(where, "filter", known, issues)
    node = fields.mapping("mixture")
    mixture = None if node is None else read_mixture(node, known, issues, fields.key_place("mixture"))
    dynamic = mixture is not None and mixture.dynamic is not None
    check_delivery(sources, tokens, "tokens" in fields, mixture, issues)
    order = read_order(fields, known, issues, dynamic)
    group = read_group(fields, mixture, order.granule, issues)
    holdout, exclude = read_holdout(fields, known, issues), read_exclusions(fields, known, issues)
    name = _name(fields, file, issues)
    if mixture is None or issues.found:
        return None
    text = lines(_without_includes(merged.root))
    return Spec(name, sources, predicate, mixture, order, file, holdout, exclude, text, tokens=tokens, group=group)


def _without_includes(root: Mapping) -> Mapping:
    """What is included stands in the mapping already."""
    return replace(root, entries=tuple(entry for entry in root.entries if entry.key.text != "include"))


def _check_needed(fields: Fields, issues: Issues) -> None:
    for name, meaning in _NEEDED.items():
        if fields.is_absent(name):
            issues.add(fields.place, f"the spec needs the key {name!r}: {meaning}")


def _sources(fields: Fields, whole: bool, issues: Issues) -> tuple[tuple[Source, ...], Known]:
    node = fields.mapping("sources")
    if node is None:
        return (), Known((), None, {})
    sources, known = read_sources(node.entries, issues)
    return sources, known if whole else Known((), None, known.types)


def _name(fields: Fields, file: str, issues: Issues) -> str:
    name = fields.text("name")
    if name is None:
        return PurePosixPath(file).stem
    if not re.fullmatch(keys.NAME, name):
        issues.add(fields.value_place("name"), f"name: {name!r} cannot be used: no `/`, no spaces at the ends")
    return name
