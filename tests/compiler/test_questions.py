"""Sources that ask the same are asked together, and every one of them gets its own labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import mixtera
from mixtera import Catalog, Plan
from mixtera.compiler.build import build
from mixtera.compiler.optimise import optimised
from mixtera.compiler.questions import questions
from mixtera.compiler.rewrite import rewrite_plan
from mixtera.contracts.properties import PropertyType
from mixtera.errors import PlanError
from mixtera.testing.catalog import MadeFile, MadeSource
from mixtera_backends.engines.duckdb import DuckDBEngine
from tests.compiler.made import catalog_of, content, spec_of

KINDS: dict[str, PropertyType] = {"kind": "string", "n": "int64"}


class Counting(DuckDBEngine):
    """Counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.asked = 0

    def batches(self, expression: object) -> Iterator[pa.RecordBatch]:
        self.asked += 1
        yield from super().batches(expression)


def source(number: int, types: dict[str, PropertyType] = KINDS, format_: str = "jsonl") -> MadeSource:
    samples = [{"kind": "ab"[row % 2], "n": row + number} for row in range(3 + number % 3)]
    kept = [{name: value for name, value in sample.items() if name in types} for sample in samples]
    files = [MadeFile(f"f{file}", (97 * number + 31 * file) % 4096, kept) for file in range(2)]
    return MadeSource(f"s{number:02d}", types, files, format_)


def expected(sources: list[MadeSource], component: Any) -> dict[str, list[tuple[str, str, int]]]:
    found: dict[str, list[tuple[str, str, int]]] = {}
    for one in sources:
        for file in one.files:
            for row, sample in enumerate(file.samples):
                found.setdefault(component(one.name, sample), []).append((one.name, file.name, row))
    return found


def compiled(tmp_path: Path, text: str, sources: list[MadeSource]) -> tuple[Plan, int]:
    spec, catalog = spec_of(tmp_path, text, sources), catalog_of(tmp_path, sources)
    with closing(Counting()) as engine:
        return mixtera.compile(spec, catalog, engine=engine), engine.asked


def parts(*components: tuple[str, object]) -> str:
    listed = [{"name": name, "weight": 1, **({} if where is None else {"where": where})} for name, where in components]
    return f"mixture: {json.dumps({'components': listed})}\n"


def test_sources_that_ask_the_same_are_one_query(tmp_path: Path) -> None:
    sources = [source(number) for number in range(12)]
    plan, asked = compiled(tmp_path, parts(("a", {"kind": "a"}), ("rest", None)), sources)
    assert asked == 1
    assert content(plan) == expected(sources, lambda name, sample: "a" if sample["kind"] == "a" else "rest")


def test_sources_whose_labels_alone_differ_are_one_query(tmp_path: Path) -> None:
    sources = [source(number) for number in range(12)]
    names = [[one.name for one in sources[part::4]] for part in range(4)]
    text = parts(*((f"p{part}", {"dataset": names[part]}) for part in range(4)))
    plan, asked = compiled(tmp_path, text, sources)
    assert asked == 1
    assert content(plan) == expected(sources, lambda name, sample: f"p{int(name[1:]) % 4}")


def test_what_is_said_of_a_dataset_divides_them(tmp_path: Path) -> None:
    sources = [source(number) for number in range(6)]
    text = parts(
        ("few", 'dataset in ("s00", "s01") and n < 2'),
        ("ends", 'dataset.endswith("5")'),
        ("other", 'dataset != "s02" and kind == "a"'),
        ("rest", None),
    )

    def component(name: str, sample: dict[str, Any]) -> str:
        if name in ("s00", "s01") and sample["n"] < 2:
            return "few"
        if name == "s05":
            return "ends"
        return "other" if name != "s02" and sample["kind"] == "a" else "rest"

    plan, asked = compiled(tmp_path, text, sources)
    assert content(plan) == expected(sources, component)
    assert asked == 3  # s00 and s01, s03 and s04, and those that ask nothing: s02 and s05


def test_groups_by_dataset_and_missing_properties(tmp_path: Path) -> None:
    sources = [source(0), source(1, {"n": "int64"}), source(2, KINDS, "parquet"), source(3, {"n": "int64"}), source(4)]
    plan, asked = compiled(tmp_path, "mixture: {by: [dataset, kind]}\n", sources)
    assert content(plan) == expected(sources, lambda name, sample: f"{name},{sample.get('kind', 'null')}")
    assert asked == 3


def test_the_rules_say_the_same_for_all_at_once_as_for_each(tmp_path: Path) -> None:
    sources = [source(number, KINDS if number % 3 else {"n": "int64"}) for number in range(9)]
    text = parts(
        ("one", {"dataset": "s01"}),
        ("some", 'dataset in ("s02", "s03") or n > 3'),
        ("not", 'not (dataset == "s04" and kind == "a")'),
        ("none", 'dataset.startswith("x")'),
        ("rest", None),
    ).replace("mixture:", 'filter: dataset != "s07" or n == 8\nmixture:')
    spec, catalog = spec_of(tmp_path, text, sources), catalog_of(tmp_path, sources)
    plans = build(spec, [catalog.source(one) for one in spec.sources])
    assert [plan.plan for plan in optimised(plans)] == [rewrite_plan(plan.plan) for plan in plans]


def test_a_question_has_each_source_once(tmp_path: Path) -> None:
    sources = [*(source(number) for number in range(5)), MadeSource("empty", KINDS, [])]
    spec = spec_of(tmp_path, parts(("a", {"kind": "a"}), ("rest", None)), sources)
    catalog = catalog_of(tmp_path, sources)
    found = questions(optimised(build(spec, [catalog.source(one) for one in spec.sources])))
    assert [question.sources for question in found] == [(0, 1, 2, 3, 4)]


def test_a_source_among_others_that_contradicts_itself(tmp_path: Path) -> None:
    class Wrong(DuckDBEngine):
        def batches(self, expression: object) -> Iterator[pa.RecordBatch]:
            for batch in super().batches(expression):
                at = batch.schema.get_field_index("file_id")
                yield batch.set_column(at, "file_id", pa.array([5000] * batch.num_rows, pa.int64()))

    sources = [source(number) for number in range(3)]
    spec, catalog = spec_of(tmp_path, "mixture: {by: kind}\n", sources), catalog_of(tmp_path, sources)
    message = r"inconsistent: in source 's00' and 2 others there are rows of a file with id 5000"
    with closing(Wrong(threads=1)) as engine, pytest.raises(PlanError, match=message):
        mixtera.compile(spec, catalog, engine=engine)


def test_columns_that_no_spec_names_any_more_do_not_matter(tmp_path: Path) -> None:
    """One source was indexed with a property more, before the others."""
    catalog = Catalog.open(str(tmp_path / "catalog"))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        lines = [json.dumps({"text": f"{row}", "more": "m", "kind": "ab"[row % 2]}) for row in range(10)]
        (tmp_path / name / "a.jsonl").write_text("\n".join(lines))

    def spec(properties: dict[str, str], names: tuple[str, ...]) -> mixtera.Spec:
        sources = {name: {"path": f"{name}/*.jsonl", "content": "text", "properties": properties} for name in names}
        path = tmp_path / "spec.yaml"
        path.write_text(json.dumps({"version": 1, "sources": sources, "mixture": {"by": "kind"}}))
        return mixtera.load(str(path))

    catalog.index(spec({"more": "more", "kind": "kind"}, ("one",)), workers=1)
    catalog.index(spec({"kind": "kind"}, ("two",)), workers=1)
    both = spec({"kind": "kind"}, ("one", "two"))
    for reuse in (False, True, True):
        plan = mixtera.compile(both, catalog, reuse=reuse)
        assert [(one.name, one.samples) for one in plan.data.components] == [("a", 10), ("b", 10)]
