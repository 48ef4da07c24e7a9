"""Reads a spec file and what it includes; reports every problem at once."""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Final, Literal, cast

from mixtera.errors import SpecError
from mixtera.spec import keys
from mixtera.spec.fields import Fields
from mixtera.spec.include import Merged, read_merged
from mixtera.spec.issues import Issues, TooManyIssues
from mixtera.spec.known import Known
from mixtera.spec.lines import lines
from mixtera.spec.mixture import read_mixture
from mixtera.spec.model import Order, Source, Spec
from mixtera.spec.predicates import predicate_of
from mixtera.spec.sources import read_sources

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
    where = fields.node("filter")
    predicate = None if where is None else predicate_of(where, "filter", known, issues)
    node = fields.mapping("mixture")
    mixture = None if node is None else read_mixture(node, known, issues, fields.key_place("mixture"))
    order = _order(fields, issues)
    name = _name(fields, file, issues)
    if mixture is None or issues.found:
        return None
    return Spec(name, sources, predicate, mixture, order, file, lines(merged.root))


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


def _order(fields: Fields, issues: Issues) -> Order:
    node = fields.mapping("order")
    if node is None:
        return Order()
    inner, default = Fields(node, keys.ORDER, issues), Order()
    chunk_size = inner.whole("chunk_size", 1, keys.LARGEST)
    granule = inner.whole("granule", 1, keys.LARGEST)
    size = chunk_size or default.chunk_size
    if granule is not None and size % granule and (chunk_size or "chunk_size" not in inner):
        message = f"granule: {granule} does not divide chunk_size {size}; such as {math.gcd(granule, size)} does"
        issues.add(inner.value_place("granule"), message)
    seed = inner.whole("seed", 0, keys.LARGEST_SEED)
    shuffle = cast(Literal["global", "none"], inner.choice("shuffle", keys.SHUFFLES) or default.shuffle)
    lanes = 1 if shuffle == "none" else default.lanes  # with more, file order holds inside each lane only
    return Order(
        default.seed if seed is None else seed,
        shuffle,
        size,
        inner.whole("lanes", 1, keys.LARGEST) or lanes,
        granule or math.gcd(default.granule, size),
    )
