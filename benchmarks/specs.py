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


def _write(path: Path, source: dict[str, object]) -> Path:
    spec = {
        "version": 1,
        "name": path.stem,
        "sources": {"records": source},
        "mixture": {"components": _components(), "on_exhaust": "repeat"},
        "order": {"seed": 7, "shuffle": "global", "lanes": LANES, "granule": 32},
    }
    path.write_text(json.dumps(spec, indent=1))  # JSON is YAML
    return path


def write_specs(directory: Path, corpus: Corpus, synthetic: Path) -> None:
    """Write the specs `interleaved`, `runs`, `parquet`, `parquet-large` and `synthetic` to a directory."""
    nested = {"domain": "meta.domain", "language": "meta.language", "year": {"path": "meta.year", "type": "int64"}}
    flat = {"domain": "domain", "language": "language", "year": {"path": "year", "type": "int64"}}
    root = corpus.directory.resolve()
    for name in ("interleaved", "runs"):
        _write(directory / f"{name}.yaml", {"path": f"{root}/{name}/*.jsonl", "content": "text", "properties": nested})
    for name in ("parquet", "parquet-large"):
        _write(directory / f"{name}.yaml", {"path": f"{root}/{name}/*.parquet", "content": "text", "properties": flat})
    rows = {"domain": "domain", "year": "year"}
    pattern = f"{synthetic.resolve()}/*.synthetic"
    _write(directory / "synthetic.yaml", {"path": pattern, "content": "text", "properties": rows})
