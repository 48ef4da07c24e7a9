"""Whole plans of random specs over random catalogs, against one sample at a time in plain Python."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, assume, given, settings

from mixtera.artifact.model import PlanData
from mixtera.compiler import compile
from mixtera.errors import SpecError
from mixtera.plan import Plan
from mixtera.spec.model import Spec
from mixtera.testing.catalog import MadeCatalog, MadeSource
from mixtera.testing.reference import leaf_of, passes
from mixtera.testing.strategies import TYPES, made_sources, specs
from mixtera_backends.engines.duckdb import DuckDBEngine
from tests.compiler.made import content

EXAMPLES = 25 if settings().max_examples <= 100 else settings().max_examples  # more with `make soak`
SLOW = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

REFUSED = re.compile("matches no sample|nothing can be grouped|different values are written alike")


class ShuffledEngine(DuckDBEngine):
    """Sends rows in a random order, in batches of random sizes."""

    def __init__(self, seed: int) -> None:
        super().__init__(threads=1)
        self._random = np.random.default_rng(seed)

    def batches(self, expression: object) -> Iterator[pa.RecordBatch]:
        batches = list(super().batches(expression))
        if batches:
            table = pa.Table.from_batches(batches)
            table = table.take(pa.array(self._random.permutation(len(table)))).combine_chunks()
            yield from table.to_batches(max_chunksize=int(self._random.integers(1, 6)))


def expected(spec: Spec, made: Sequence[MadeSource]) -> dict[str, list[tuple[str, str, int]]]:
    found: dict[str, list[tuple[str, str, int]]] = {}
    for source in made:
        for file in sorted(source.files, key=lambda file: file.name):
            for row, _, _, properties in file.records():
                sample = source.sample(properties, TYPES)
                path = leaf_of(spec.mixture.parts, sample) if passes(spec, sample) else None
                if path is not None:
                    found.setdefault("/".join(path), []).append((source.name, file.name, row))
    return found


def compiled(spec: Spec, made: Sequence[MadeSource], seed: int | None = None) -> Plan | None:
    with TemporaryDirectory() as directory:
        catalog = MadeCatalog(Path(directory), made)
        with closing(DuckDBEngine(threads=1) if seed is None else ShuffledEngine(seed)) as engine:
            try:
                return compile(spec, catalog, engine=engine)
            except SpecError as error:
                if any(REFUSED.search(issue.message) is None for issue in error.issues):
                    raise
                return None


def check_starts(data: PlanData, made: Sequence[MadeSource]) -> None:
    """Every selected record's range holds it, its line feed at most, and nothing of a record behind it."""
    records = {
        (source.name, file.name, row): (offset, length, row == len(file.samples) - 1)
        for source in made
        for file in source.files
        for row, offset, length, _ in file.records()
    }
    segments, files = data.segments.to_pylist(), data.files.to_pylist()
    taken = 0
    for entry in data.entries.to_pylist():
        segment = segments[entry["segment"]]
        source = data.sources[files[segment["file"]]["source"]]
        for row in data.rows[taken : taken + entry["count"]].tolist():
            if source.format == "jsonl":
                offset, length, last = records[source.name, files[segment["file"]]["name"], segment["row"] + row]
                start, stop = data.starts[segment["start"] + row : segment["start"] + row + 2].astype(int).tolist()
                assert segment["offset"] + start == offset
                assert segment["offset"] + stop == offset + length + (not last)
            else:
                assert (segment["offset"], segment["start"]) == (-1, -1)
        taken += entry["count"]
    for segment in segments:
        if segment["start"] >= 0:
            steps = data.starts[segment["start"] : segment["start"] + segment["rows"] + 1].astype(int)
            assert (np.diff(steps) >= 0).all()


@SLOW
@given(data=st.data())
def test_plans_are_what_the_reference_says(data: st.DataObject) -> None:
    made = data.draw(made_sources())
    spec = data.draw(specs(made))
    plan = compiled(spec, made)
    assume(plan is not None)
    assert plan is not None
    assert content(plan) == expected(spec, made)
    check_starts(plan.data, made)


@SLOW
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_the_order_in_which_an_engine_sends_rows_means_nothing(data: st.DataObject, seed: int) -> None:
    made = data.draw(made_sources())
    spec = data.draw(specs(made))
    plan, shuffled = compiled(spec, made), compiled(spec, made, seed)
    assert (plan is None) == (shuffled is None)
    if plan is not None and shuffled is not None:
        assert shuffled.digest == plan.digest
        assert shuffled.data.starts.tolist() == plan.data.starts.tolist()
        assert shuffled.data.segments.equals(plan.data.segments)
