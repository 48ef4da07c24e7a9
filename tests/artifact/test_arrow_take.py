"""`take` of lists of numbers, which are taken as bytes, is what Arrow's own is."""

import numpy as np
import pyarrow as pa
import pytest

from mixtera.arrow import take


@pytest.mark.parametrize("number", [pa.int32(), pa.int64(), pa.float64(), pa.uint16()])
@pytest.mark.parametrize("cut", [slice(0, 4), slice(1, 3), slice(2, 2)])
@pytest.mark.parametrize("places", [[], [0], [1, 0, 0, 1]])
def test_lists_of_numbers(number, cut, places):
    lists = pa.array([[1, 2], [], [3], [4, 5, 6]], pa.large_list(number))[cut]
    chosen = np.array(places if len(lists) else [], np.int64)
    taken = take(lists, chosen)
    taken.validate(full=True)
    assert taken.equals(lists.take(pa.array(chosen)))


def test_lists_with_nulls_and_batches():
    broken = pa.array([[1, None], None, [2]], pa.large_list(pa.int32()))
    whole = pa.array([[1, 2], [], [7]], pa.large_list(pa.int32()))
    batch = pa.record_batch({"broken": broken, "whole": whole, "text": ["a", "b", "c"]})
    assert take(batch, np.array([2, 0])).equals(batch.take(pa.array([2, 0])))
