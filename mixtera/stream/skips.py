"""Samples that cannot be read, passed over: others of their components come in their place, and the job notes which.

What comes instead is a function of the plan, the position, and of which samples can be read: no reader asks another.
It is on the disk before it is delivered, so that whoever reads the position later gets it again, even where the
sample that was passed over can be read by then.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from mixtera.arrow import take
from mixtera.artifact.model import ROW_BITS, PlanData
from mixtera.artifact.pointers import PointerMap, Pointers
from mixtera.artifact.replaced import drawn, some, spliced
from mixtera.artifact.skips import Skip
from mixtera.errors import PlanError, SampleError
from mixtera.stream.contents import Contents, Int64s, distinct_samples

_LOG: Final = logging.getLogger(__name__)
DRAWS: Final = 32
"""How many samples are tried in place of one."""
MOST_SKIPPED: Final = 1_000
"""Positions of a run at which others come instead, unless the user allows more."""
_REASON_CHARACTERS: Final = 400


class Skips(Protocol):
    """What a job knows of samples that could not be read. Any thread may call it.

    Attributes:
        most: How many may be skipped in the run; 0: none more.
    """

    @property
    def most(self) -> int:
        """See above."""

    def known(self) -> tuple[Skip, ...]:
        """Those that were noted until now."""

    def add(self, skips: Sequence[Skip]) -> tuple[Skip, ...]:
        """Note some; they are durable when this returns.

        Returns:
            For the same positions, what counts: what was noted there before, where something was.

        Raises:
            SampleError: They are more than may be skipped.
        """


def check_skips(data: PlanData, skips: Skips | None) -> None:
    """Refuse to pass over samples where positions are not samples.

    Raises:
        PlanError: They are rows of tokens.
    """
    if skips is not None and skips.most and data.tokens is not None:
        raise PlanError(
            f"on_unreadable='skip': plan {data.name!r} delivers rows of tokens, which documents share; it goes with "
            "plans of samples. Leave it out, and mend or exclude what cannot be read"
        )


class Mender:
    """Reads what a fetch could not read, sample by sample. Lives in one process; one thread at a time calls it."""

    def __init__(self, data: PlanData, columns: Sequence[str], skips: Skips) -> None:
        """Prepare; files are opened where they are needed."""
        self._data, self._columns, self._skips = data, columns, skips
        self._pointers = PointerMap(data)
        self._contents: Contents | None = None

    def mended(self, found: Pointers, error: SampleError) -> tuple[Pointers, pa.RecordBatch]:
        """What is delivered at some positions, and its content, in the order of the positions.

        Args:
            found: What stands there.
            error: What reading it failed with.

        Raises:
            SampleError: Nothing can be delivered for one of them, too much is skipped, or `error`: each sample can
                be read alone, so it is not about one.
            StorageError: A file is gone, changed or unreadable.
        """
        reasons = self._unreadable(found)
        if not reasons:
            raise error
        bad = np.flatnonzero([key in reasons for key in _keys(found).tolist()])
        counted = self._skips.add(self._skipped(found, bad, reasons))
        instead = self._pointers.of([skip.instead for skip in counted])
        mended = spliced(found, bad, instead, np.arange(len(bad)))
        samples, places = distinct_samples(mended)
        content = take(self._opened().of(samples), places)
        for skip in counted:
            _LOG.warning(
                "position %d: %s cannot be read and is skipped; another sample of its component comes instead: %s",
                skip.position + self._data.first,
                skip.place,
                skip.reason,
            )
        return mended, content

    def close(self) -> None:
        """Close all files."""
        if self._contents is not None:
            self._contents.close()

    def _skipped(self, found: Pointers, bad: Int64s, reasons: dict[int, str]) -> list[Skip]:
        """What is to be delivered at each of the positions that have something unreadable."""
        instead = np.zeros(len(bad), np.int64)
        waiting = np.arange(len(bad))
        for attempt in range(DRAWS):
            at = bad[waiting]
            candidates, which = drawn(self._pointers, found.position[at], found.component[at], attempt)
            known = np.array([key in reasons for key in _keys(candidates).tolist()], np.bool_)
            candidates, which = some(candidates, np.flatnonzero(~known)), which[~known]
            unreadable = self._unreadable(candidates)
            reasons |= unreadable
            good = np.array([key not in unreadable for key in _keys(candidates).tolist()], np.bool_)
            instead[waiting[which[good]]] = candidates.sample[good]
            waiting = np.delete(waiting, which[good])
            if not len(waiting):
                break
        else:
            name = self._data.components[int(found.component[bad[waiting[0]]])].name
            raise SampleError(
                f"{reasons[int(_keys(found)[bad[waiting[0]]])]}; and of {DRAWS} others of the component {name!r} none "
                "could be read in its place: mend its files"
            )
        return [
            Skip(
                int(found.position[place]),
                int(found.sample[place]),
                sample,
                self._place(int(found.file[place]), int(found.row[place])),
                reasons[int(_keys(found)[place])][:_REASON_CHARACTERS],
            )
            for place, sample in zip(bad.tolist(), instead.tolist(), strict=True)
        ]

    def _unreadable(self, found: Pointers) -> dict[int, str]:
        """What cannot be read of some samples, by file and row, and why; each is read once, and alone only if need be.

        Raises:
            SampleError: It is more than may be skipped.
        """
        reasons: dict[int, str] = {}
        samples, _ = distinct_samples(found)
        parts = [(0, len(samples.file))] if len(samples.file) else []
        while parts:
            first, last = parts.pop()
            try:
                self._opened().of(samples.part(first, last))
            except SampleError as error:
                if last - first > 1:
                    middle = (first + last) // 2
                    parts += [(middle, last), (first, middle)]
                    continue
                reasons[int(samples.file[first]) << ROW_BITS | int(samples.row[first])] = str(error)
                if len(reasons) > self._skips.most:
                    raise SampleError(f"{error}; more than {self._skips.most:,} samples (`most_skipped`)") from error
        return reasons

    def _opened(self) -> Contents:
        if self._contents is None:
            self._contents = Contents(self._data, self._columns, 0)
        return self._contents

    def _place(self, file: int, row: int) -> str:
        files = self._data.files
        source = self._data.sources[files.column("source")[file].as_py()].name
        return f"{source}/{files.column('name')[file].as_py()}#{row}"


def _keys(found: Pointers) -> Int64s:
    return found.file << ROW_BITS | found.row
