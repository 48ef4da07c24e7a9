"""Curricula: what the samples of a component are sorted by, and the sequence that comes out.

Values arrive with the labels and are kept as one number per row. Only numbers, dates, timestamps and bools are sorted,
here and not by the engine: so every engine gives the same sequence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.compiler.build import SourcePlan, mark_name
from mixtera.compiler.dense import Dense
from mixtera.compiler.files import Int64s
from mixtera.compiler.rows import Rows
from mixtera.compiler.scratch import scratch
from mixtera.mapped import fill
from mixtera.order.permute import Permutation
from mixtera.spec.model import SortKey

Values: TypeAlias = npt.NDArray[Any]

_MISSING: Final = np.iinfo(np.int64).max
"""Stands for NULL among integers; NaN does among floats. Both sort last."""
_BLOCK: Final = 1 << 20


class SortValues:
    """The values of all rows for every sort key."""

    def __init__(self, keys: Sequence[SortKey], plans: Sequence[SourcePlan], total_rows: int) -> None:
        self._keys, self._plans = keys, plans
        self._values: dict[str, Values] = {}
        for key in keys:
            types = {plan.indexed.types.get(key.value) for plan in plans} if isinstance(key.value, str) else set()
            values = scratch(total_rows, np.float64 if "float64" in types else np.int64)
            fill(values, np.nan if "float64" in types else _MISSING)
            self._values[key.text] = values

    @property
    def arrays(self) -> tuple[Values, ...]:
        """Values of all rows, for each key."""
        return tuple(self._values.values())

    def see(self, source: int, rows: Rows) -> None:
        """Take in the rows of a source."""
        for key in self._keys:
            name = key.value if isinstance(key.value, str) else mark_name(key, self._keys)
            if name in rows.groups.schema.names:
                values = self._values[key.text]
                values[rows.number] = _numbers(rows.groups.column(name), values.dtype)

    def ascending(self, key: SortKey, number: Int64s) -> Values:
        """The values of some rows under a key, so that ascending is the order asked for."""
        values: Values = self._values[key.text][number]
        if not key.descending:
            return values
        return -values if values.dtype.kind == "f" else np.where(values == _MISSING, _MISSING, ~values)


def _numbers(column: pa.Array, dtype: np.dtype[Any]) -> Values:
    if pa.types.is_date(column.type):
        column = column.cast(pa.int32())
    if dtype.kind == "f":
        return column.cast(pa.float64()).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    return column.cast(pa.int64()).fill_null(_MISSING).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def sequences(
    sorted_by: Mapping[int, tuple[SortKey, ...]], permutation: Permutation, dense: Dense, values: SortValues
) -> dict[int, npt.NDArray[np.uint32] | Int64s]:
    """The sequence of every component that has a curriculum: equal samples stand as the permutation has them.

    Args:
        sorted_by: Component → keys, the most important first.
        permutation: The order that decides among equal samples, exclusions left out.
        dense: Where samples of the permutation lie among all rows.
        values: What to sort by.

    Returns:
        Component → numbers of its samples inside the component, in order.
    """
    return {component: _sequence(component, keys, permutation, dense, values) for component, keys in sorted_by.items()}


def _sequence(
    component: int, keys: Sequence[SortKey], permutation: Permutation, dense: Dense, values: SortValues
) -> npt.NDArray[np.uint32] | Int64s:
    count = int(permutation.samples[component])
    first = int(permutation.sample_first[permutation.entry_first[component]])
    number = np.empty(count, np.int64)
    for low in range(0, count, _BLOCK):
        place = np.arange(low, min(low + _BLOCK, count))
        entry, rank = permutation.find(np.full(len(place), component), place)
        number[place] = permutation.sample_first[entry] + rank - first
    last = first + int(number.max()) + 1
    row = dense.rows(first, last)[number]
    order = np.lexsort([values.ascending(key, row) for key in reversed(keys)])
    sequence: Int64s = number[order]
    return sequence.astype(np.uint32) if last - first <= np.iinfo(np.uint32).max else sequence
