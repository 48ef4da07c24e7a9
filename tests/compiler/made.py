"""Small specs over hand-made sources, written as users write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mixtera.contracts.properties import PropertyType
from mixtera.plan import Plan
from mixtera.spec import Spec, load
from mixtera.testing.catalog import MadeCatalog, MadeFile, MadeSource

PROPERTIES: dict[str, PropertyType] = {
    "language": "string",
    "year": "int64",
    "clean": "bool",
    "topics": "list<string>",
}
WEB = MadeSource(
    "web",
    PROPERTIES,
    [
        MadeFile(
            "b.jsonl",
            7,
            [
                {"language": "en", "year": 2001, "clean": True, "topics": ["law"]},
                {"language": "de", "year": 2015, "topics": ["law", "sport"]},
                None,
                {"language": "en", "year": None, "clean": False},
                {"language": None, "year": 2020, "topics": ["sport"]},
            ],
            [3, 5, 0, 7, 2],
        ),
        MadeFile("a.jsonl", 9, [{"language": "fr", "year": 1999}, {"language": "en", "year": 2016, "clean": True}]),
    ],
)
CODE = MadeSource(
    "code",
    {"language": "string", "stars": "int64"},
    [MadeFile("x.parquet", 3, [{"language": "python", "stars": n} for n in range(6)], groups=(4, 2))],
    "parquet",
)


def spec_of(tmp_path: Path, text: str, sources: Sequence[MadeSource] = (WEB, CODE)) -> Spec:
    """A spec with these sources, whose types only the catalog knows, and the given rest."""
    lines = ["version: 1", "name: made", "sources:"]
    for source in sources:
        lines += [f"  {source.name}:", f"    path: /{source.name}/*", f"    format: {source.format}"]
        lines += ["    content: text", *(["    properties:"] if source.types else [])]
        lines += [f"      {name}: {name}" for name in source.types]
    path = tmp_path / "spec.yaml"
    path.write_text("\n".join(lines) + "\n" + text, encoding="utf-8")
    return load(str(path))


def catalog_of(tmp_path: Path, sources: Sequence[MadeSource] = (WEB, CODE)) -> MadeCatalog:
    """The catalog of the sources."""
    directory = tmp_path / "catalog"
    directory.mkdir(exist_ok=True)
    return MadeCatalog(directory, sources)


def content(plan: Plan) -> dict[str, list[tuple[str, str, int]]]:
    """Component → (source, file, row) of its samples, in the order of the entries."""
    data = plan.data
    entries, segments, files = (table.to_pylist() for table in (data.entries, data.segments, data.files))
    found: dict[str, list[tuple[str, str, int]]] = {}
    taken = 0
    for number, component in enumerate(data.components):
        samples = found.setdefault(component.name, [])
        for entry in entries[data.component_entries[number] : data.component_entries[number + 1]]:
            segment = segments[entry["segment"]]
            file = files[segment["file"]]
            for row in data.rows[taken : taken + entry["count"]].tolist():
                assert row < segment["rows"]
                samples.append((data.sources[file["source"]].name, file["name"], segment["row"] + row))
            taken += entry["count"]
    assert taken == len(data.rows)
    return found
