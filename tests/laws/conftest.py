"""A small corpus in every format, one catalog, and plans over it."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

import mixtera

WRITERS: dict[str, Callable[[bytes], bytes]] = {
    "jsonl": bytes,
    "jsonl.gz": gzip.compress,
    "jsonl.zst": zstandard.ZstdCompressor().compress,
    "jsonl.bz2": bz2.compress,
    "jsonl.xz": lzma.compress,
}

SOURCES = """
version: 1
name: laws
sources:
  web:
    path: {root}/web/*
    format: jsonl
    content: text
    properties: {{language: meta.language, score: meta.score, topics: meta.topics}}
  code:
    path: {root}/code/*.parquet
    content: {{text: body}}
    properties: {{language: lang, stars: stars}}
"""

MIXTURES = {
    "weighted": """
mixture:
  components:
    - {name: english, where: 'dataset == "web" and language == "en"', weight: 50}
    - name: code
      where: {dataset: code}
      weight: 30
      components:
        - {name: popular, where: stars >= 30, weight: 3}
        - {name: other, weight: 1}
    - {name: rest, weight: 20}
order: {seed: 7, chunk_size: 256, lanes: 6}
""",
    "natural": "mixture: {by: [language], weights: natural}\norder: {seed: 3, chunk_size: 128, lanes: 4}\n",
    "uniform": "mixture: {by: [dataset, language], weights: uniform}\norder: {chunk_size: 64, granule: 8, lanes: 3}\n",
    "repeat": """
mixture:
  components:
    - {name: law, where: '"law" in topics', weight: 1, max_epochs: 2.5}
    - {name: other, weight: 2}
  on_exhaust: repeat
  max_epochs: 3
order: {seed: 11, chunk_size: 96, lanes: 2}
""",
    "redistribute": """
mixture:
  components:
    - {name: english, where: 'dataset == "web" and language == "en"', weight: 50, max_epochs: 1.2}
    - name: code
      where: {dataset: code}
      weight: 30
      components:
        - {name: popular, where: stars >= 30, weight: 3}
        - {name: other, weight: 1}
    - {name: rest, weight: 20, by: language, weights: {temperature: 3}}
  on_exhaust: redistribute
order: {seed: 7, chunk_size: 128, lanes: 3}
""",
    "schedule": """
mixture:
  components:
    - {name: web, where: {dataset: web}}
    - name: code
      components:
        - {name: popular, where: stars >= 30}
        - {name: other}
      schedule:
        - {at: 0, weights: {popular: 1, other: 0}}
        - {at: 10%, weights: {popular: 1, other: 5}, ramp: cosine, until: 90%}
  schedule:
    - {at: 0, weights: {web: 9, code: 1}}
    - {step: 10, weights: {web: 1, code: 2}, ramp: linear, until_step: 40}
    - {step: 45, weights: {web: 1, code: 0}}
  budget: {steps: 50, batch: 64}
  on_exhaust: repeat
order: {seed: 7, chunk_size: 128, lanes: 3}
""",
    "unshuffled": "mixture: {by: dataset, weights: natural}\norder: {shuffle: none, chunk_size: 64, lanes: 1}\n",
}


def record(i: int) -> dict[str, object]:
    topics = ["law", "sport"][: i % 3]
    meta = {"language": ("en", "de", "fr", None)[i * i % 4], "score": i % 17 / 16, "topics": topics}
    return {"text": f"doc-{i:06d} " + "word " * (i % 9), "meta": meta}


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("laws")
    (root / "web").mkdir()
    (root / "code").mkdir()
    i = 0
    for suffix, compress in WRITERS.items():
        for part in range(2):
            lines = [json.dumps(record(n)) for n in range(i, i + 271)]
            (root / "web" / f"part-{part}.{suffix}").write_bytes(compress("\n".join(lines).encode()))
            i += 271
    for part in range(3):
        rows = range(i, i + 300)
        i += 300
        columns = {"body": [f"doc-{r:06d} code" for r in rows], "lang": [("python", "rust")[r % 2] for r in rows]}
        table = pa.table({**columns, "stars": [r % 50 for r in rows]})
        pq.write_table(table, root / "code" / f"part-{part}.parquet", row_group_size=128)
    return root


@pytest.fixture(scope="session", params=MIXTURES)
def plan(request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory) -> mixtera.Plan:
    return build(root, request.param, tmp_path_factory)


@pytest.fixture(scope="session")
def weighted(root: Path, tmp_path_factory: pytest.TempPathFactory) -> mixtera.Plan:
    return build(root, "weighted", tmp_path_factory)


def build(root: Path, mixture: str, tmp_path_factory: pytest.TempPathFactory) -> mixtera.Plan:
    path = tmp_path_factory.mktemp("spec") / f"{mixture}.yaml"
    path.write_text(SOURCES.format(root=root) + MIXTURES[mixture])
    spec = mixtera.load(str(path))
    catalog = mixtera.Catalog.open(str(root / "catalog"))
    catalog.index(spec)
    return mixtera.compile(spec, catalog)
