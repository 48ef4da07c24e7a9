"""Runs the expressions and gathers what they say: one small code per row of every file, in plan order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mixtera.compiler.build import SourcePlan
from mixtera.compiler.exclusions import Exclusions
from mixtera.compiler.files import FileIndex, Int64s
from mixtera.compiler.groups import Codes, GroupEncoder, Key
from mixtera.compiler.leaves import Leaf
from mixtera.compiler.lower import BYTES, POSITION, lower
from mixtera.compiler.nodes import NO_LABEL
from mixtera.compiler.questions import Question, questions
from mixtera.compiler.reuse import FIRST_LABEL, Memory, remembers
from mixtera.compiler.rows import Numbering, Rows
from mixtera.compiler.scratch import scratch
from mixtera.compiler.sorting import SortValues
from mixtera.compiler.split import Split
from mixtera.compiler.starts import Starts, Unsigned
from mixtera.compiler.tables import make_known
from mixtera.compiler.tokens import TokenCounts
from mixtera.contracts.engine import Engine
from mixtera.contracts.properties import PropertyType
from mixtera.errors import Issue, SpecError
from mixtera.mapped import fill, forget

_COUNTED = 1 << 20
_HELD = 64
"""Batches of rows after which what they were written to is let go of."""


@dataclass(frozen=True)
class Labels:
    """What the engine said of all rows.

    Attributes:
        codes: [rows] code of each row; `none` where it is not selected.
        none: See `codes`.
        groups: Per leaf with a `by`: value → code. Other leaves have their label as code.
        counts: [sources, codes] samples that are not excluded.
        whole: [sources, codes] samples, excluded ones too.
        kept: [sources] samples that pass the filter.
        held_out: [sources] samples of them that lie on the other side of the split.
        asked: Samples that the engine was asked about and that pass the filter; the labels of others were kept.
        offset: [segments] first byte of each; −1 where the format has no offsets.
        starts: Where records start; see `mixtera.artifact.model`.
    """

    codes: Unsigned
    none: int
    groups: Mapping[int, Mapping[Key, int]]
    counts: Int64s
    whole: Int64s
    kept: Int64s
    held_out: Int64s
    asked: int
    offset: Int64s
    starts: Unsigned


@dataclass(frozen=True)
class Beside:
    """What is done with the rows beside labelling them: on which side of a split they are, which are excluded, what
    curricula sort them by, and how many tokens they have.
    """

    split: Split | None
    exclusions: Exclusions
    sorting: SortValues
    tokens: TokenCounts

    @property
    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """Long arrays that are filled while rows arrive."""
        return self.exclusions.rows, *self.sorting.arrays, *self.tokens.arrays


def gather(
    plans: Sequence[SourcePlan],
    index: FileIndex,
    leaves: Sequence[Leaf],
    engine: Engine,
    beside: Beside,
    catalog: Path | None = None,
) -> Labels:
    """Label every row of every source.

    Args:
        plans: Plans of the sources.
        index: Their files.
        leaves: What the labels mean.
        engine: Runs the expressions; its rows may come in any order.
        beside: What else is done with the rows.
        catalog: Directory of the catalog, for labels that are kept there; None to ask about every row.

    Raises:
        EngineError: The engine failed.
        PlanError: The catalog contradicts itself.
        SpecError: A `by` has more values than a plan can hold.
    """
    asked = questions(plans)
    for wide in (False, True):
        memory = Memory(catalog, index, asked, plans) if catalog is not None and remembers(catalog, plans) else None
        gathering = _Gathering(plans, index, leaves, beside, memory, wide)
        for question in asked:
            gathering.run(question, engine)
        if not gathering.starts.overflow:
            break
    return gathering.labels()


def _constants(source: SourcePlan, own: Mapping[str, PropertyType]) -> dict[str, str | None]:
    """Values of the `by` columns that are the same in a whole source."""
    return {name: source.source.name if name == "dataset" else None for name in source.plan.by if name not in own}


class _Gathering:
    def __init__(
        self,
        plans: Sequence[SourcePlan],
        index: FileIndex,
        leaves: Sequence[Leaf],
        beside: Beside,
        memory: Memory | None,
        wide: bool,
    ) -> None:
        self._memory, self.asked = memory, 0
        self._plans, self._index, self._beside = plans, index, beside
        self._groups = [leaf for leaf in leaves if leaf.group is not None]
        small = not self._groups and len(leaves) < 255
        self._none = 255 if small else 65535
        self._dtype = np.dtype(np.uint8 if small else np.uint16)
        self._codes = scratch(index.total_rows + 1, self._dtype)  # one more, so that every row has one behind it
        fill(self._codes, self._none)
        self._given = Codes(len(leaves))
        self._kept = np.zeros(len(plans), np.int64)
        self._held_out = np.zeros(len(plans), np.int64)
        self._batches = 0
        self.starts = Starts(index, wide)

    def run(self, question: Question, engine: Engine) -> None:
        """Take in all rows of some sources."""
        plan, own = question.plan, dict(question.plan.scan.columns)
        asked = [self._plans[number] for number in question.sources]
        numbering = Numbering(self._index, question.sources, [source.source.name for source in asked])
        encoders = [GroupEncoder(self._groups, _constants(source, own), self._given) for source in asked]
        columns = [*(name for name in plan.by if name in own), *(name for name, _ in plan.marks)]
        answers = self._answers(question, engine, numbering, columns)
        for answer in answers:
            self._breathe()
            for place, rows in numbering.by_source(answer):
                number = question.sources[place]
                self._kept[number] += len(rows.number)
                rows = self._on_this_side(number, rows.meaning(question.labels[place]))
                self._take(rows.take(rows.label != NO_LABEL), encoders[place], numbering)
        for source, number in zip(asked, question.sources, strict=True):
            if self._kept[number] > source.indexed.rows:
                raise numbering.twice()

    def _answers(
        self, question: Question, engine: Engine, numbering: Numbering, columns: Sequence[str]
    ) -> Iterator[Rows]:
        """Rows of a question with their labels: those that are remembered, and those that the engine gives."""
        offsets = question.plan.offsets
        if self._memory is None or question.plan.marks or question.plan.scan.keyed is not None:
            files = [file for number in question.sources for file in self._plans[number].indexed.data_files]
            yield from self._asked(question, files, engine, numbering, columns)
            return
        told = self._memory.told
        known, unknown = self._memory.recall(question)
        for batch in self._memory.batches(known, [*POSITION, *(BYTES if offsets else ()), *columns]):
            rows = numbering.rows(batch, offsets, columns)
            rows = replace(rows, label=told[rows.number].astype(np.int32) - FIRST_LABEL)
            yield rows.take(rows.label >= NO_LABEL)
        for rows in self._asked(question, [str(part.path) for part in unknown], engine, numbering, columns):
            told[rows.number] = rows.label + FIRST_LABEL
            yield rows
        self._memory.keep(question, unknown)

    def _asked(
        self, question: Question, files: Sequence[str], engine: Engine, numbering: Numbering, columns: Sequence[str]
    ) -> Iterator[Rows]:
        """Rows of a question, of some Parquet files, with the labels that the engine gives."""
        plan, indexed = question.plan, self._plans[question.sources[0]].indexed
        if not files and not (indexed.keyed and indexed.keyed.held):
            return
        make_known(engine, plan.scan.table, files, indexed.types, indexed.keyed)
        for batch in engine.batches(lower(plan)):
            if batch.num_rows:
                self.asked += batch.num_rows
                yield numbering.rows(batch, plan.offsets, columns)

    def _breathe(self) -> None:
        """Now and then let go of what was written."""
        self._batches += 1
        if self._batches % _HELD == 0:
            told = () if self._memory is None else (self._memory.told,)
            forget(self._codes, *told, *self._beside.arrays)
            self.starts.forget()

    def _on_this_side(self, number: int, rows: Rows) -> Rows:
        """The rows on this side of the split; lists of exclusions and curricula see them pass."""
        beside = self._beside
        beside.exclusions.see(number, rows)
        if beside.split is not None:
            kept = beside.split.kept(number, rows)
            self._held_out[number] += len(kept) - int(kept.sum())
            rows = rows.take(kept)
        beside.sorting.see(number, rows)
        beside.tokens.see(number, rows)
        return rows

    def _take(self, rows: Rows, encoder: GroupEncoder, numbering: Numbering) -> None:
        if not len(rows.number):
            return
        if (self._codes[rows.number] != self._none).any():
            raise numbering.twice()
        codes = encoder.encode(rows.label, rows.groups)
        if self._given.next > self._none:
            raise self._too_many()
        self._codes[rows.number] = codes.astype(self._dtype)
        if len(rows.offset):
            self.starts.add(rows, self._codes[rows.number + 1] != self._none)

    def _too_many(self) -> SpecError:
        found = {label: len(keys) for label, keys in self._given.found.items()}
        leaf = max(self._groups, key=lambda leaf: found.get(leaf.label, 0))
        place = leaf.place
        return SpecError(
            [
                Issue(
                    place.file,
                    place.line,
                    place.column,
                    f"by: more than {self._none - 1:,} different values; a plan holds at most so many components. "
                    "Group by a coarser property",
                )
            ]
        )

    def labels(self) -> Labels:
        """Everything gathered."""
        codes = self._codes[:-1]
        offset, starts = self.starts.finish(codes, self._none)
        whole = self._counts(codes, None)
        excluded = self._beside.exclusions.rows
        counts = self._counts(codes, excluded) if len(excluded) else whole
        found, kept = self._given.found, self._kept
        return Labels(codes, self._none, found, counts, whole, kept, self._held_out, self.asked, offset, starts)

    def _counts(self, codes: Unsigned, excluded: npt.NDArray[np.bool_] | None) -> Int64s:
        counts = np.zeros((len(self._plans), self._given.next), np.int64)
        for source, (start, stop) in enumerate(
            zip(self._index.source_files, self._index.source_files[1:], strict=False)
        ):
            last = self._index.first[stop]
            for first in range(self._index.first[start], last, _COUNTED):
                rows = slice(first, min(first + _COUNTED, last))
                part = codes[rows] if excluded is None else codes[rows][~excluded[rows]]
                counts[source] += np.bincount(part, minlength=self._none + 1)[: self._given.next]
            forget(codes)
        return counts
