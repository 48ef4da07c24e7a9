"""What goes with rows of tokens, against loops over their documents."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.adapters.rows import PADDING, row_columns
from mixtera.stream.columns import SEQUENCE_LENGTH


def rows_of(documents: list[list[int]], whole: int, width: int, lengths: list[int] | None = None) -> pa.RecordBatch:
    """A batch as the stream makes it: for each row the sizes of its documents."""
    starts = [np.cumsum([0, *sizes[:-1]]).tolist() for sizes in documents]
    tokens = pa.FixedSizeListArray.from_arrays(pa.array(range(len(documents) * whole), pa.int32()), whole)
    columns = {"tokens": tokens, "document_starts": pa.array(starts, pa.list_(pa.int32()))}
    if lengths is not None:
        columns["length"] = pa.array(lengths, pa.int32())
    batch = pa.RecordBatch.from_pydict(columns)
    field = batch.schema.field(0).with_metadata({SEQUENCE_LENGTH: str(width)})
    return batch.cast(batch.schema.set(0, field))


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[list[int]], int, int]:
    width, shift = draw(st.integers(1, 12)), draw(st.integers(0, 1))
    whole = width + shift
    documents = []
    for _ in range(draw(st.integers(1, 4))):
        edges = draw(st.sets(st.integers(1, whole - 1))) if whole > 1 else set()
        cuts = [0, *sorted(edges), whole]
        documents.append(np.diff(cuts).tolist())
    return documents, whole, width


@given(batches(), st.booleans(), st.integers(0, 3))
def test_columns_are_those_of_a_loop(given_: tuple[list[list[int]], int, int], padded: bool, offset: int) -> None:
    documents, whole, width = given_
    lengths = [sum(sizes[:-1]) or whole for sizes in documents] if padded else None  # the last one is the padding
    batch = rows_of([*[[whole]] * offset, *documents], whole, width, lengths and [*[whole] * offset, *lengths])
    got = row_columns(batch.slice(offset))
    for row, sizes in enumerate(documents):
        ids = [number for number, size in enumerate(sizes) for _ in range(size)]
        places = [place for size in sizes for place in range(size)]
        stop = whole if lengths is None else lengths[row]
        ids, places = ids[:stop] + [PADDING] * (whole - stop), places[:stop] + [0] * (whole - stop)
        assert got["document_ids"][row].tolist() == ids[:width]
        assert got["position_ids"][row].tolist() == places[:width]
        followed = [here + 1 < stop and ids[here] == ids[here + 1] for here in range(width)]
        assert got["loss_mask"][row].tolist() == followed
        if padded:
            assert got["attention_mask"][row].tolist() == [here < stop for here in range(width)]
    assert ("attention_mask" in got) == padded
    assert {got[name].dtype.name for name in ("document_ids", "position_ids")} == {"int32"}


def test_a_label_that_begins_a_document_is_no_fair_one() -> None:
    """Only the boundaries know: the document of the last label is in none of the ids."""
    got = row_columns(rows_of([[4, 1], [5]], whole=5, width=4))
    assert got["document_ids"].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0]]
    assert got["loss_mask"].tolist() == [[True, True, True, False], [True, True, True, True]]


@pytest.mark.parametrize("columns", [{"text": ["a"]}, {"tokens": [[1]], "document_starts": [[0]]}])
def test_batches_of_samples_have_none(columns: dict[str, list[object]]) -> None:
    assert row_columns(pa.RecordBatch.from_pydict({k: pa.array(v) for k, v in columns.items()})) == {}
