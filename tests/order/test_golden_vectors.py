"""Golden vectors of order version 1: these numbers never change. A new order gets a new version."""

from __future__ import annotations

import hashlib

import numpy as np

from mixtera.artifact.model import ORDER_VERSION, OrderParameters
from mixtera.artifact.pointers import PointerMap
from mixtera.order.keys import key_of
from mixtera.order.seats import seats
from tests.synthetic import plan_data


def labels() -> list[np.ndarray]:
    """Four files of 500 rows, three components interleaved by a fixed rule."""
    row = np.arange(2000)
    return list(((row * row + row // 7) % 3).astype(np.uint8).reshape(4, 500))


def fingerprint(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, "<i8").tobytes()).hexdigest()[:16]


def test_order_version() -> None:
    assert ORDER_VERSION == 1


def test_seats() -> None:
    weights = np.array([50.0, 20.0, 30.0])
    totals = np.array([1, 2, 3, 7, 10, 1_000_003])
    assert seats(totals, weights).tolist() == GOLDEN_SEATS


def test_keys() -> None:
    assert int(key_of(17, 1, 0)) == GOLDEN_KEY


def test_shuffled_order_with_epochs() -> None:
    order = OrderParameters(seed=17, shuffle="global", chunk_size=128, lanes=3, granule=32)
    found = PointerMap(plan_data(labels(), [5.0, 2.0, 3.0], order=order, epochs=[3, 3, 3], segment_rows=64)).range(
        0, 3000
    )
    assert found.component[:20].tolist() == GOLDEN_COMPONENTS
    assert (found.file * 500 + found.row)[:12].tolist() == GOLDEN_ROWS
    assert fingerprint(found.sample) == GOLDEN_SAMPLES


def test_file_order() -> None:
    order = OrderParameters(seed=17, shuffle="none", chunk_size=128, lanes=1, granule=32)
    found = PointerMap(plan_data(labels(), [5.0, 2.0, 3.0], order=order, segment_rows=64)).range(0, 1000)
    assert fingerprint(found.sample) == GOLDEN_UNSHUFFLED


GOLDEN_SEATS = [[1, 0, 0], [1, 0, 1], [1, 1, 1], [4, 1, 2], [5, 2, 3], [500001, 200001, 300001]]
GOLDEN_KEY = 2875313244945324022
GOLDEN_COMPONENTS = [0, 2, 1, 0, 0, 2, 0, 1, 2, 0, 0, 2, 1, 0, 0, 2, 0, 1, 2, 0]
GOLDEN_ROWS = [783, 1375, 1324, 770, 1132, 1961, 1155, 800, 1168, 796, 1381, 1144]
GOLDEN_SAMPLES = "ce70dc6ea1c98847"
GOLDEN_UNSHUFFLED = "bae4fb2a6cb885d4"
