"""The plan: one spec over one catalog snapshot, compiled. A pure function from position to sample."""

from __future__ import annotations

import difflib
import os
import shutil
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import encoded, from_numpy, strings, to_numpy
from mixtera.artifact import digest, layout, remote
from mixtera.artifact.following import check_static
from mixtera.artifact.model import ROW_BITS, PlanData, TokenParameters
from mixtera.artifact.pointers import PointerMap
from mixtera.artifact.sequences import SequenceMap
from mixtera.artifact.urls import is_remote, plain_path
from mixtera.cached import cached_property
from mixtera.errors import PlanError

if TYPE_CHECKING:
    from mixtera.stream import Stream


class Plan:
    """A compiled plan. Immutable; opened by memory map; holds no connection.

    Attributes:
        data: The tables and arrays of the plan.
        path: Directory that it lies in; a compiled plan that was not saved lies in a temporary one, one that was
            opened from a storage in the copy that the processes of this machine share.
        url: Where it was opened from, or saved to at last; None: nowhere that lasts.
        remap: URL prefixes that were replaced when it was opened; another process opens it with the same.
        digest: `sha256:…` of everything that decides which sample stands where; equal on every engine and machine.
    """

    def __init__(self, data: PlanData, path: Path, digest: str, remap: Mapping[str, str] | None = None) -> None:
        self.data, self.path, self.digest, self.remap = data, path, digest, dict(remap or {})
        self.url: str | None = None

    @classmethod
    def open(cls, path: str, remap: Mapping[str, str] | None = None) -> Plan:
        """Open a saved plan.

        Args:
            path: Its directory, or the URL of one, such as `s3://bucket/plans/web`: then it is copied to this machine
                by the first process that opens it.
            remap: URL prefix → URL prefix, for data that lies elsewhere on this machine.

        Raises:
            PlanError: It is not a plan, is damaged, or is of a newer version.
            StorageError: It cannot be read.
        """
        if is_remote(path):
            opened, directory = remote.open(path, remap)
        else:
            directory = Path(plain_path(path))
            opened = remote.open_here(directory, remap)
        plan = cls(opened.data, directory, opened.digest, remap)
        plan.url = path
        return plan

    def save(self, path: str) -> int:
        """Write the plan to a directory, or to the URL of one: whole or not at all; an older plan there is replaced.

        Returns:
            Its bytes.

        Raises:
            PlanError: Something else lies there.
            StorageError: It cannot be written.
        """
        if is_remote(path):
            written = remote.write(path, self.data, self.digest)
            self.url = path
            return written
        path = self.url = plain_path(path)
        layout.write(path, self.data, self.digest)
        return sum(file.stat().st_size for file in Path(path).iterdir())

    @property
    def name(self) -> str:
        """Name of the spec."""
        return self.data.name

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the components: those of `component_id`, by its numbers."""
        return tuple(component.name for component in self.data.components)

    @property
    def tokens(self) -> TokenParameters | None:
        """How samples become rows of tokens: `vocab_size`, `sequence_length`, …; None: they stay samples."""
        return None if self.data.tokens is None else self.data.tokens.parameters

    def __len__(self) -> int:
        if self.data.timeline.total is None:
            raise TypeError(f"plan {self.name!r} has no end: a component repeats for ever; give it `max_epochs`")
        return self.data.timeline.total

    @property
    def start(self) -> int:
        """The first position: 0, or where the plan takes over from the one that it continues."""
        return self.data.first

    @property
    def end(self) -> int | None:
        """The position after the last; None for a plan without end."""
        return self.data.end

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        total = self.data.timeline.total
        return f"Plan({self.name!r}, {'endless' if total is None else total}, {self.digest[:19]}…)"

    @cached_property
    def pointers(self) -> PointerMap:
        """The map from positions to records."""
        return PointerMap(self.data)

    @cached_property
    def _names(self) -> pa.DictionaryArray:
        """The names of the files; those of two sources may be equal, and stand in the dictionary once."""
        return encoded(self.data.files.column("name").combine_chunks())

    @cached_property
    def sequences(self) -> SequenceMap:
        """The map from positions to pieces of documents, of a plan whose positions are sequences of tokens."""
        return SequenceMap(self.data, self.pointers)

    def samples(self, start: int, stop: int) -> pa.Table:
        """The samples at the positions [start, stop), cut at the end; nothing is read.

        Positions are those of the run: a plan that continues another begins at its `start`.

        Args:
            start: First position.
            stop: Position after the last.

        Returns:
            Columns sample int64, component, source and file (dictionaries of strings), row int64. Where positions are
            sequences of tokens, a row for each part of a document in them, and three columns more: position int64, and
            first_token and last_token int64, the part [first, last) of the document's tokens.

        Raises:
            PlanError: `start` lies before the plan's first position, or behind `stop`, or the plan follows the
                training: `mixtera.Job.decided` gives what its job has decided.
        """
        check_static(self.data, "samples")
        self._check_begun(start, f"samples({start}, {stop})")
        if not 0 <= start <= stop:
            raise PlanError(f"samples({start}, {stop}): positions are not negative and ascend")
        more: dict[str, pa.Array] = {}
        if self.data.packs:
            sequences = self.sequences.range(start - self.start, stop - self.start)
            found = sequences.documents
            more = {
                "position": from_numpy(found.position + self.start),
                "first_token": from_numpy(sequences.first),
                "last_token": from_numpy(sequences.last),
            }
        else:
            found = self.pointers.range(start - self.start, stop - self.start)
        files = self.data.files
        source = to_numpy(files.column("source"))[found.file]
        names = strings([component.name for component in self.data.components])
        sources = strings([source.name for source in self.data.sources])
        return pa.table(
            {
                "sample": from_numpy(found.sample),
                "component": _dictionary(found.component, names),
                "source": _dictionary(source, sources),
                "file": _dictionary(to_numpy(self._names.indices)[found.file], self._names.dictionary),
                "row": from_numpy(found.row),
                **more,
            }
        )

    def locate(self, sample: int, stop: int | None = None) -> list[int]:
        """The positions at which a sample is delivered, ascending; empty if the plan has not chosen it.

        Where positions are sequences of tokens: those that have a part of it.

        Args:
            sample: A sample id.
            stop: Only positions before this one; needed when the plan has no end.

        Raises:
            PlanError: The plan has no end and `stop` is not given, or it follows the training.
        """
        check_static(self.data, "locate")
        if stop is None and self.data.timeline.total is None:
            raise PlanError(f"plan {self.name!r} has no end: locate(sample, stop=…) says how far to look")
        before = None if stop is None else stop - self.start
        if self.data.packs:
            total = self.data.timeline.total
            limits = [limit for limit in (before, total) if limit is not None]
            found = self.sequences.positions_of(int(sample), min(limits))
        else:
            found = self.pointers.locate(int(sample), before)
        return [position + self.start for position in found]

    def _check_begun(self, position: int, what: str) -> None:
        begins = self.data.begins
        if begins is not None and 0 <= position < begins.position:
            raise PlanError(
                f"{what}: plan {self.name!r} begins at position {begins.position:,}; what is before belongs to "
                f"the plan {begins.name!r} ({begins.plan}), which it continues"
            )

    def state_at(self, position: int) -> dict[str, object]:
        """The resume state after `position` samples of the run, as a stream that has delivered them returns it."""
        from mixtera.stream.state import PlanIdentity

        return PlanIdentity.of(self.data, self.digest).state_at(position)

    def sample_id(self, source: str, file: str, row: int) -> int:
        """The id of a sample.

        Args:
            source: Name of its source.
            file: Name of its file inside the source, as `samples` gives it.
            row: Row in the file, from 0.

        Raises:
            PlanError: The plan has no such source, file or row.
        """
        sources = [known.name for known in self.data.sources]
        if source not in sources:
            raise PlanError(f"plan {self.name!r} has no source {source!r}; it has {', '.join(sources)}")
        files = self.data.files
        first, last = np.searchsorted(
            to_numpy(files.column("source")), [sources.index(source), sources.index(source) + 1]
        )
        names = (
            files.column("name").slice(first, last - first).to_pylist()
        )  # the first compute function of a process takes 0.2 s
        if file not in names:
            near = difflib.get_close_matches(file, names, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise PlanError(f"source {source!r} of plan {self.name!r} has no file {file!r}{hint}")
        number = int(first) + names.index(file)
        rows, file_id = (int(files.column(name)[number].as_py()) for name in ("rows", "file_id"))
        if not 0 <= row < rows:
            raise PlanError(f"{source}/{file} has {rows} rows, counted from 0; there is no row {row}")
        return file_id << ROW_BITS | row

    def stream(self, batch_size: int, rank: int = 0, world_size: int = 1, start: int | None = None) -> Stream:
        """The samples as Arrow record batches, in the order of the plan.

        Step k of rank r takes the positions start + [(k · world_size + r) · batch_size, … + batch_size).

        Args:
            batch_size: Samples per batch of this rank.
            rank: This reader's rank.
            world_size: Readers in total.
            start: Position to begin at, over all ranks; the plan's first by default.

        Raises:
            PlanError: An argument is out of range, or the plan follows the training: its job has the stream.
        """
        from mixtera.stream import Stream

        return Stream(self.data, self.digest, batch_size=batch_size, rank=rank, world_size=world_size, start=start)

    @classmethod
    def of(cls, data: PlanData, directory: Path) -> Plan:
        """A plan just compiled, written into a temporary directory that is removed with the plan.

        Args:
            data: The content; its arrays may lie in the same directory.
            directory: An existing directory that nothing else needs.
        """
        path = directory / "plan"
        layout.write(str(path), data, digest.digest(data), durable=False)
        opened = layout.open(str(path))
        plan = cls(opened.data, path, opened.digest)
        weakref.finalize(plan, _remove, directory, os.getpid())
        return plan


def _remove(directory: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked worker has a copy of the plan, and must not take the files away
        shutil.rmtree(directory, ignore_errors=True)


def _dictionary(indices: npt.NDArray[np.generic], values: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(from_numpy(indices.astype(np.int32)), values)
