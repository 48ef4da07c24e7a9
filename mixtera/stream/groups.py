"""Fetch for plans whose components deliver different things: rows of tokens, and samples as they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy, strings, take
from mixtera.artifact.model import PlanData, TokenLayout
from mixtera.artifact.pointers import PointerMap, Pointers
from mixtera.artifact.sequences import SequenceMap, Sequences, chosen
from mixtera.errors import PlanError
from mixtera.stream.consumer import Consumer
from mixtera.stream.contents import Contents, distinct_samples
from mixtera.stream.pieces import Piece
from mixtera.stream.sequences import SequenceFetcher, joined, own_sequences

Runs = tuple[pa.RecordBatch, ...]
"""The rows of a piece: a batch for each stretch of one group."""


class GroupFetcher:
    """Reads pieces. Lives in one process; one thread at a time calls it.

    Columns: those of `SequenceFetcher` where tokens are delivered; else content columns, `component` (dictionary) and
    `sample` (int64).
    """

    def __init__(
        self, data: PlanData, layout: TokenLayout, consumer: Consumer, columns: Sequence[str], cache_bytes: int
    ) -> None:
        assert data.delivery is not None
        self._consumer, self._parameters = consumer, layout.parameters
        self._groups, self._kinds = data.delivery.groups, np.array(data.delivery.kinds, np.int64)
        self._pointers = PointerMap(data)
        self._sequences = SequenceMap(data, self._pointers) if layout.packs else None
        self._names = strings([component.name for component in data.components])
        share = cache_bytes // len(self._groups)
        self._rows = SequenceFetcher(data, layout, consumer, share) if () in self._groups else None
        self._columns = [[name for name in group if name in columns] for group in self._groups]
        self._contents = [Contents(data, names, share) if names else None for names in self._columns]

    def fetch(self, pieces: Sequence[Piece]) -> list[Runs]:
        """The reader's own rows of some pieces.

        Raises:
            SampleError: A record cannot be read as indexed, or has other tokens than were counted.
            StorageError: A file is gone, changed or unreadable.
            TokenizerError: A record is no text.
        """
        parts = [
            own_sequences(self._pointers, self._sequences, self._parameters, self._consumer, piece) for piece in pieces
        ]
        whole = joined(parts)
        kind = self._kinds[whole.component]
        read = [self._read(number, chosen(whole, kind == number)) for number in range(len(self._columns))]
        edges = np.cumsum([0, *(len(part.position) for part in parts)])
        before = np.zeros(len(read), np.int64)
        found: list[Runs] = []
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            found.append(_cut(kind[first:last], read, before))
        return found

    def close(self) -> None:
        """Close all files."""
        if self._rows is not None:
            self._rows.close()
        for contents in self._contents:
            if contents is not None:
                contents.close()

    def _read(self, number: int, found: Sequences) -> pa.RecordBatch | None:
        """The rows of the positions of one group; None where there are none."""
        if not len(found.position):
            return None
        if not self._groups[number]:
            assert self._rows is not None
            return self._rows.rows(found)
        return self._samples(number, found.documents)

    def _samples(self, number: int, found: Pointers) -> pa.RecordBatch:
        contents, names = self._contents[number], self._columns[number]
        columns: list[pa.Array] = []
        if contents is not None:
            samples, places = distinct_samples(found)
            ordered = take(contents.of(samples), places)
            columns = [ordered.column(name) for name in names]
        component = pa.DictionaryArray.from_arrays(from_numpy(found.component.astype(np.int32)), self._names)
        return pa.RecordBatch.from_arrays(
            [*columns, component, from_numpy(found.sample)], names=[*names, "component", "sample"]
        )


def check_batches(data: PlanData, batch_size: int, start: int) -> None:
    """Refuse batches that would hold rows of different groups.

    Args:
        data: The plan.
        batch_size: Positions of a batch.
        start: The position at which they begin, counted from the plan's first.

    Raises:
        PlanError: Names the sizes that are homogeneous.
    """
    if data.blocks is None:
        return
    group = data.blocks.size
    if group % batch_size:
        raise PlanError(
            f"batches of {batch_size} of plan {data.name!r} would mix what components deliver: {described(data)} come "
            f"in turns of {group} positions (`stream.group`); take a batch size that divides it, such as "
            f"{math.gcd(group, batch_size)}, or compile with a group of {math.lcm(group, batch_size)}"
        )
    if start % batch_size:
        raise PlanError(
            f"batches of {batch_size} from position {data.first + start} of plan {data.name!r} on would mix what "
            f"components deliver: {described(data)} come in turns of {group} positions (`stream.group`); from there, "
            f"batches of {math.gcd(group, start)} do not, or any size that divides it"
        )


def described(data: PlanData) -> str:
    """What the components of a plan deliver, for messages."""
    named = [" + ".join(group) if group else "tokens" for group in dict.fromkeys(data.columns)]
    return f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else named[0]


def _cut(kind: npt.NDArray[np.int64], read: Sequence[pa.RecordBatch | None], before: npt.NDArray[np.int64]) -> Runs:
    """The stretches of one piece, each of one group; counts in `before` what is taken of each group."""
    runs: list[pa.RecordBatch] = []
    bounds = [0, *(np.flatnonzero(np.diff(kind)) + 1).tolist(), len(kind)]
    for first, last in pairwise(bounds):
        if first == last:
            continue
        number = int(kind[first])
        batch = read[number]
        assert batch is not None
        runs.append(batch.slice(int(before[number]), last - first))
        before[number] += last - first
    return tuple(runs)
