"""The specs that the benchmarks run: eight components over the 22 domains, the same for every corpus."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.corpus import DOMAINS, Corpus

GROUPS = ((0, 1), (1, 2), (2, 4), (4, 7), (7, 11), (11, 15), (15, 19), (19, 22))
WEIGHTS = (30, 20, 15, 12, 8, 7, 5, 3)
LANES = 2  # as many as the largest number of readers here, two workers


def _components() -> list[dict[str, object]]:
    return [
        {"name": f"part-{i}", "where": {"domain": list(DOMAINS[start:stop])}, "weight": weight}
        for i, ((start, stop), weight) in enumerate(zip(GROUPS, WEIGHTS, strict=True))
    ]


def _write(path: Path, source: dict[str, object], *, natural: bool = False) -> Path:
    weighted = {"components": _components(), "on_exhaust": "repeat"}
    spec = {
        "version": 1,
        "name": path.stem,
        "sources": {"records": source},
        "mixture": {"by": "domain", "weights": "natural"} if natural else weighted,
        "order": {"seed": 7, "shuffle": "global", "lanes": LANES, "granule": 32},
    }
    path.write_text(json.dumps(spec, indent=1))  # JSON is YAML
    return path


NESTED = {"domain": "meta.domain", "language": "meta.language", "year": {"path": "meta.year", "type": "int64"}}
"""Properties of the JSONL corpora."""


def write_jsonl_spec(directory: Path, files: Path) -> Path:
    """Write the spec of a directory of JSONL files, under its name."""
    return _write(
        directory / f"{files.name}.yaml", {"path": f"{files}/*.jsonl", "content": "text", "properties": NESTED}
    )


def write_specs(directory: Path, corpus: Corpus, synthetic: Path) -> None:
    """Write the specs `interleaved`, `runs`, `parquet`, `parquet-large` and `synthetic` to a directory.

    `interleaved-natural` and `parquet-natural` are the same with natural weights: their components pass through the
    files side by side, so a row group is decoded for all of them at once.
    """
    flat = {"domain": "domain", "language": "language", "year": {"path": "year", "type": "int64"}}
    root = corpus.directory.resolve()
    for name in ("interleaved", "runs"):
        source = {"path": f"{root}/{name}/*.jsonl", "content": "text", "properties": NESTED}
        _write(directory / f"{name}.yaml", source)
        if name == "interleaved":
            _write(directory / f"{name}-natural.yaml", source, natural=True)
    for name in ("parquet", "parquet-large"):
        source = {"path": f"{root}/{name}/*.parquet", "content": "text", "properties": flat}
        _write(directory / f"{name}.yaml", source)
        if name == "parquet":
            _write(directory / f"{name}-natural.yaml", source, natural=True)
    rows = {"domain": "domain", "year": "year"}
    pattern = f"{synthetic.resolve()}/*.synthetic"
    _write(directory / "synthetic.yaml", {"path": pattern, "content": "text", "properties": rows})
