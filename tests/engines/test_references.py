"""The two references that engines are held against say the same, and what pyarrow says of awkward cases is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.spec.predicate import And, Compare, Has, In, IsNone, Matches, Not, Or, Predicate, Span
from mixtera.testing.arrow_reference import rows_of, truth
from mixtera.testing.catalog import MadeCatalog, MadeFile, MadeSource
from mixtera.testing.reference import holds
from mixtera.testing.strategies import PREDICATES, TYPES, samples

SPAN = Span("spec.yaml", 1, 1, "")
SCORE = Compare("score", ">", 0.5, SPAN)
CLEAN = Compare("clean", "==", True, SPAN)
TABLE = pa.table(
    {
        "score": pa.array([1.0, 0.0, None, 1.0, None, -0.0, math.nan]),
        "clean": pa.array([None, None, None, True, False, True, False]),
        "topics": pa.array([["a"], [], ["b", "a"], ["b"], ["a", "a"], [], ["c"]], pa.list_(pa.string())),
    }
)
T, F, N = True, False, None


@settings(max_examples=60, deadline=None)
@given(predicate=PREDICATES, rows=st.lists(samples(TYPES), min_size=1, max_size=8))
def test_both_references_say_the_same(
    predicate: Predicate, rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = MadeSource("web", TYPES, [MadeFile("a", 1, rows)])
    indexed = MadeCatalog(tmp_path_factory.mktemp("catalog"), [source], parquet_files=1).source(source.source)
    found = truth(predicate, rows_of("web", indexed.data_files, TYPES)).to_pylist()
    assert found == [holds(predicate, source.sample(row, TYPES)) for row in rows]


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (And((SCORE, CLEAN)), [N, F, N, T, F, F, F]),
        (Or((SCORE, CLEAN)), [T, N, N, T, N, T, F]),
        (Not(And((SCORE, CLEAN))), [N, T, N, F, T, T, T]),
        (In("score", (0.0, 7.0), False, SPAN), [F, T, N, F, N, T, F]),
        (In("score", (0.0, 7.0), True, SPAN), [T, F, N, T, N, F, T]),
        (Compare("score", "!=", -0.0, SPAN), [T, F, N, T, N, F, T]),
        (Matches("score", (1.0, None), SPAN), [T, F, T, T, T, F, F]),
        (IsNone("score", False, SPAN), [F, F, T, F, T, F, F]),
        (Has("topics", "a", False, SPAN), [T, F, T, F, T, F, F]),
        (Has("topics", "a", True, SPAN), [F, T, F, T, F, T, T]),
        (Matches("topics", ("b", "c"), SPAN), [F, F, T, T, F, F, T]),
    ],
)
def test_three_values_lists_zeros_and_what_is_no_number(predicate: Predicate, expected: list[bool | None]) -> None:
    assert truth(predicate, TABLE).to_pylist() == expected


def test_a_property_that_a_source_lacks_is_null_or_an_empty_list(tmp_path: Path) -> None:
    source = MadeSource("web", {"count": "int64"}, [MadeFile("a", 1, [{"count": 3}])])
    indexed = MadeCatalog(tmp_path, [source]).source(source.source)
    table = rows_of("web", indexed.data_files, {"count": "int64", "score": "float64", "topics": "list<string>"})
    assert truth(IsNone("score", False, SPAN), table).to_pylist() == [True]
    assert truth(SCORE, table).to_pylist() == [None]
    assert truth(Has("topics", "a", False, SPAN), table).to_pylist() == [False]
    empty = rows_of("web", (), {"score": "float64", "topics": "list<string>"})
    assert truth(Or((SCORE, Has("topics", "a", False, SPAN))), empty).to_pylist() == []
