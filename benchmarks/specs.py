"""The specs that the benchmarks run: eight components over the 22 domains, the same for every corpus."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.corpus import DOMAINS, Corpus

GROUPS = ((0, 1), (1, 2), (2, 4), (4, 7), (7, 11), (11, 15), (15, 19), (19, 22))
WEIGHTS = (30, 20, 15, 12, 8, 7, 5, 3)
PHASES = 1_000
YEARS = (1995, 2026)
LANES = 2  # as many as the largest number of readers here, two workers
NESTED = {"domain": "meta.domain", "language": "meta.language", "year": {"path": "meta.year", "type": "int64"}}
"""Properties of the JSONL corpora."""


def _components() -> list[dict[str, object]]:
    return [
        {"name": f"part-{i}", "where": {"domain": list(DOMAINS[start:stop])}, "weight": weight}
        for i, ((start, stop), weight) in enumerate(zip(GROUPS, WEIGHTS, strict=True))
    ]


def _years(part: int, parts: int) -> str:
    """A predicate for one of some equal spans of years."""
    first, last = (YEARS[0] + (YEARS[1] - YEARS[0]) * n // parts for n in (part, part + 1))
    return f"{first} <= year < {last}"


def _domains(number: int) -> list[str]:
    """The domains of one of 20 equal parts, about."""
    return list(DOMAINS[len(DOMAINS) * number // 20 : len(DOMAINS) * (number + 1) // 20])


def _flat_200() -> dict[str, object]:
    """200 components side by side, with weights that never change."""
    names = [f"part-{number}" for number in range(20)]
    components = [
        {"name": f"{name}-{part}", "where": _flat_condition(number, part), "weight": 1 + (number + part) % 7}
        for number, name in enumerate(names)
        for part in range(10)
    ]
    return {"components": components, "on_exhaust": "stop"}


def _flat_condition(number: int, part: int) -> str:
    listed = ", ".join(json.dumps(domain) for domain in _domains(number))
    return f"domain in ({listed},) and {_years(part, 10)}"


def _scheduled_200() -> dict[str, object]:
    """The same 200 as 20 components with 10 inside each, two ramps over the 20, everything redistributed."""
    components = [
        {
            "name": f"part-{number}",
            "where": {"domain": _domains(number)},
            "components": [
                {"name": f"{part}", "where": _years(part, 10), "weight": 1 + (number + part) % 7} for part in range(10)
            ],
        }
        for number in range(20)
    ]
    first, second, third = ({f"part-{n}": 1 + (n * step) % 5 for n in range(20)} for step in (1, 3, 7))
    schedule = [
        {"at": 0, "weights": first},
        {"at": 1_000_000, "weights": second, "ramp": "linear", "until": 4_000_000},
        {"at": 5_000_000, "weights": third, "ramp": "cosine", "until": 8_000_000},
    ]
    return {"components": components, "schedule": schedule, "on_exhaust": "redistribute"}


def _phases(rows: int) -> dict[str, object]:
    """The eight components with weights that change a thousand times."""
    components = _components()
    schedule = [
        {
            "at": rows // PHASES * phase,
            "weights": {f"part-{i}": weight * (1 + (i + phase) % 3) for i, weight in enumerate(WEIGHTS)},
        }
        for phase in range(PHASES)
    ]
    return {"components": components, "schedule": schedule, "on_exhaust": "repeat"}


def _write(
    path: Path, source: dict[str, object], *, natural: bool = False, mixture: dict[str, object] | None = None
) -> Path:
    weighted = {"components": _components(), "on_exhaust": "repeat"}
    spec = {
        "version": 1,
        "name": path.stem,
        "sources": {"records": source},
        "mixture": mixture or ({"by": "domain", "weights": "natural"} if natural else weighted),
        "order": {"seed": 7, "shuffle": "global", "lanes": LANES, "granule": 32},
    }
    path.write_text(json.dumps(spec, indent=1))  # JSON is YAML
    return path


def write_jsonl_spec(directory: Path, files: Path) -> Path:
    """Write the spec of a directory of JSONL files, under its name."""
    return _write(
        directory / f"{files.name}.yaml", {"path": f"{files}/*.jsonl", "content": "text", "properties": NESTED}
    )


def write_small_spec(directory: Path, files: Path) -> Path:
    """Write the spec of a directory of small JSONL files; with types, so that no file is opened to find them out."""
    typed = {"domain": {"path": "meta.domain", "type": "string"}, "year": {"path": "meta.year", "type": "int64"}}
    source = {"path": f"{files}/*.jsonl", "content": "text", "properties": typed}
    return _write(directory / f"{files.name}.yaml", source)


def write_images_spec(directory: Path, files: Path) -> Path:
    """Write the spec `images` of a directory of tars: all members of a sample are content."""
    content = {"image": "jpg", "caption": "txt", "about": "json"}
    source: dict[str, object] = {"path": f"{files}/*.tar", "content": content, "properties": {"domain": "json.domain"}}
    return _write(directory / "images.yaml", source)


def write_trees(directory: Path, synthetic: Path, rows: int) -> None:
    """Write the specs `flat-200`, `scheduled-200` and `phases` over the synthetic rows to a directory."""
    source = _synthetic(synthetic)
    for name, mixture in (("flat-200", _flat_200()), ("scheduled-200", _scheduled_200()), ("phases", _phases(rows))):
        _write(directory / f"{name}.yaml", source, mixture=mixture)


def _synthetic(directory: Path) -> dict[str, object]:
    rows = {"domain": "domain", "year": "year"}
    return {"path": f"{directory.resolve()}/*.synthetic", "content": "text", "properties": rows}


def write_specs(directory: Path, corpus: Corpus, synthetic: Path) -> None:
    """Write the specs `interleaved`, `runs`, `zst`, `zst-whole`, `parquet`, `parquet-large` and `synthetic`.

    Those whose names end with `-natural` are the same with natural weights: their components pass through the files
    side by side, so a row group or a frame is decoded for all of them at once.
    """
    flat = {"domain": "domain", "language": "language", "year": {"path": "year", "type": "int64"}}
    root = corpus.directory.resolve()
    for name in ("interleaved", "runs"):
        source = {"path": f"{root}/{name}/*.jsonl", "content": "text", "properties": NESTED}
        _write(directory / f"{name}.yaml", source)
        if name == "interleaved":
            _write(directory / f"{name}-natural.yaml", source, natural=True)
    for name in ("zst", "zst-whole"):
        source = {"path": f"{root}/{name}/*.jsonl.zst", "content": "text", "properties": NESTED}
        _write(directory / f"{name}.yaml", source)
        _write(directory / f"{name}-natural.yaml", source, natural=True)
    for name in ("parquet", "parquet-large"):
        source = {"path": f"{root}/{name}/*.parquet", "content": "text", "properties": flat}
        _write(directory / f"{name}.yaml", source)
        if name == "parquet":
            _write(directory / f"{name}-natural.yaml", source, natural=True)
    _write(directory / "synthetic.yaml", _synthetic(synthetic))
