"""From the catalog to what is delivered, against what a plan delivers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

import mixtera

SPEC = """
version: 1
name: falling
sources:
  big: {path: big/*.jsonl, content: text, properties: {kind: kind, n: {path: n, type: int64}}}
  small: {path: small/*.jsonl, content: text, properties: {kind: kind, n: {path: n, type: int64}}}
filter: n >= 100
mixture:
  components:
    - {name: a, where: kind == "a", weight: WEIGHT}
    - {name: b, where: kind == "b", weight: 1}
    - {name: c, where: kind == "c", weight: 0}
order: {seed: 3, chunk_size: 64, lanes: 2, granule: 16}
"""


def plan_of(root: Path, weight: int) -> mixtera.Plan:
    for source, count in (("big", 2000), ("small", 500)):
        (root / source).mkdir()
        lines = [json.dumps({"text": f"{source} {n}", "kind": "abcd"[n % 4], "n": n}) for n in range(count)]
        (root / source / "0.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "spec.yaml").write_text(SPEC.replace("WEIGHT", str(weight)), encoding="utf-8")
    spec, catalog = mixtera.load(str(root / "spec.yaml")), mixtera.Catalog.open(str(root / "catalog"))
    catalog.index(spec, workers=1)
    return mixtera.compile(spec, catalog)


def test_every_step_is_counted_by_source(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 3)
    found = mixtera.explain(plan).report.waterfall
    assert [(each.source, each.rows, each.kept) for each in found] == [
        ("big", 2000, 1900),
        ("small", 500, 400),
        (None, 2500, 2300),
    ]
    assert [each.chosen for each in found] == [950, 200, 1150]
    table = plan.samples(0, len(plan))
    delivered = dict(zip(table["sample"].to_pylist(), table["source"].to_pylist(), strict=True))
    by_source = Counter(delivered.values())
    assert found[-1].seen == len(delivered)
    assert found[-1].unseen == 1150 - len(delivered)
    for each in found[:-1]:
        assert each.about
        assert each.source is not None
        assert each.seen == pytest.approx(by_source[each.source], rel=0.1)
    assert sum(each.seen for each in found[:-1]) == pytest.approx(found[-1].seen, abs=1)


def test_what_is_finished_is_no_guess(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 1)
    assert [(each.seen, each.unseen, each.about) for each in mixtera.explain(plan).report.waterfall] == [
        (950, 0, False),
        (200, 0, False),
        (1150, 0, False),
    ]
