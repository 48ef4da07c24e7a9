"""Groups of a `by`: their values are found in the stream of labels, and each gets a code of its own."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.compiler.leaves import Leaf
from mixtera.spec.predicate import Literal_

Key = tuple[Literal_ | None, ...]
_DENSE = 1 << 20
"""Combinations up to which a table of all of them is made, for one batch."""


def value_text(value: Literal_ | None) -> str:
    """How a value is called in the name of its component."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value + 0.0)  # −0.0 is 0.0
        case datetime.date():
            return value.isoformat()
        case _:
            return str(value)


def key_text(key: Key) -> str:
    """The name of a group: its values, joined by commas."""
    return ",".join(map(value_text, key))


@dataclass
class Codes:
    """The codes given out so far. Codes below the number of leaves are labels; each new group takes the next one.

    Attributes:
        next: The next free code.
        found: Per leaf with a `by`: key → code.
    """

    next: int
    found: dict[int, dict[Key, int]] = field(default_factory=dict)

    def of(self, label: int, key: Key) -> int:
        """The code of a group; a new one for a new key."""
        known = self.found.setdefault(label, {})
        if key not in known:
            known[key] = self.next
            self.next += 1
        return known[key]


@dataclass(frozen=True)
class GroupEncoder:
    """Turns labels into codes for one source.

    Attributes:
        leaves: Leaves with a `by`.
        constants: Values of the `by` columns that are the same in the whole source: `dataset`, and NULL for those it
            lacks.
        codes: Shared by all sources.
    """

    leaves: Sequence[Leaf]
    constants: Mapping[str, str | None]
    codes: Codes

    def encode(self, label: npt.NDArray[np.int32], columns: pa.RecordBatch) -> npt.NDArray[np.int32]:
        """The codes of some rows: the label itself where it is not one of a `by`."""
        code = label
        for leaf in self.leaves:
            inside = label == leaf.label
            if inside.any():
                code = code.copy() if code is label else code
                part = columns if inside.all() or not columns.num_columns else columns.filter(pa.array(inside))
                code[inside] = self._codes(leaf, part, int(inside.sum()))
        return code

    def _codes(self, leaf: Leaf, columns: pa.RecordBatch, rows: int) -> npt.NDArray[np.int32]:
        assert leaf.group is not None
        keys: list[Key] = [()]
        inverse = np.zeros(rows, np.int64)
        for name in leaf.group.by:
            values, indices = self._dictionary(columns, name, rows)
            present, inverse = _distinct(inverse * len(values) + indices, len(keys) * len(values))
            keys = [(*keys[place // len(values)], values[place % len(values)]) for place in present.tolist()]
        return np.array([self.codes.of(leaf.label, key) for key in keys], np.int32)[inverse]

    def _dictionary(
        self, columns: pa.RecordBatch, name: str, rows: int
    ) -> tuple[Sequence[Literal_ | None], npt.NDArray[np.int64]]:
        if name in self.constants:
            return [self.constants[name]], np.zeros(rows, np.int64)
        encoded = columns.column(name).dictionary_encode(null_encoding="encode")
        return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def _distinct(values: npt.NDArray[np.int64], bound: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The distinct values, ascending, and where each value stands among them; all lie in [0, bound)."""
    if bound > _DENSE:
        present, inverse = np.unique(values, return_inverse=True)
        return present, inverse
    used = np.zeros(bound, bool)
    used[values] = True
    return np.flatnonzero(used), (np.cumsum(used) - 1)[values]
