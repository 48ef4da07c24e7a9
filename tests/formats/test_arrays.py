"""That values become the Arrow arrays that pyarrow would make of them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mixtera.contracts.properties import PropertyType
from mixtera.formats.arrays import property_array

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.lists(st.none() | st.text(st.sampled_from("a\0ä€\U0001f600"), max_size=4))


@given(TEXTS)
@example(["a\0b", "c"])
@example(["\0"])
@example(["", ""])
def test_strings(values: list[str | None]) -> None:
    array = property_array(values, "string")
    array.validate(full=True)
    assert array.to_pylist() == values


@given(st.lists(st.none() | INT64))
def test_integers(values: list[int | None]) -> None:
    assert property_array(values, "int64").equals(pa.array(values, pa.int64()))


@given(st.lists(st.none() | st.floats(allow_nan=False)))
def test_floats(values: list[float | None]) -> None:
    assert property_array(values, "float64").equals(pa.array(values, pa.float64()))


@pytest.mark.parametrize("type_", ["list<string>", "list<int64>", "list<float64>"])
def test_lists_hold_no_nulls(type_: PropertyType) -> None:
    inner = {"list<string>": ["\0", "ä"], "list<int64>": [1, -2], "list<float64>": [0.5, 2.0]}[type_]
    array = property_array([inner, None, [], [None, inner[0]]], type_)
    array.validate(full=True)
    assert array.to_pylist() == [inner, [], [], inner[:1]]
