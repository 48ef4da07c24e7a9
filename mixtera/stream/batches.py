"""Batches: cut from the open pieces of a reader while the next ones are fetched in the background."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import to_numpy
from mixtera.artifact.model import PlanData, TokenLayout
from mixtera.formats.hits import Hits, hits_here
from mixtera.stream.consumer import Consumer
from mixtera.stream.fetch import Fetcher
from mixtera.stream.guide import Guide
from mixtera.stream.memory import return_at_once, use_compact_pool
from mixtera.stream.metered import MeteredThread
from mixtera.stream.pieces import FIRST_ROWS, FIRST_SAMPLES, Piece, cutting, fetches, pieces
from mixtera.stream.skips import Skips
from mixtera.stream.statistics import Work
from mixtera.stream.traffic import Counter, Traffic

if TYPE_CHECKING:
    from mixtera.stream.groups import GroupFetcher
    from mixtera.stream.sequences import SequenceFetcher

Fetched: TypeAlias = Sequence[pa.RecordBatch | tuple[pa.RecordBatch, ...]]
"""For each piece its samples, or the stretches of them that deliver the same."""

WAITING_FETCHES: Final = 4
"""Fetches that are asked for and not yet taken: bounds what an abandoned reader still does."""
FETCH_BYTES: Final = 5 << 19
LARGE_FETCH_BYTES: Final = 4 << 20
"""Of small records that lie at places of their own: what a fetch costs before its first record weighs there."""
SMALL_RECORD_BYTES: Final = 8 << 10
LARGE_SAMPLE_BYTES: Final = 16 << 10
"""Samples of so many bytes, on average, from storages that answer late, are read with less memory, not less work."""
ROUNDS_AHEAD: Final = 1
"""Rounds after the one that is delivered that a guided reader reads: what it reads, the weights cannot change."""


class Batches:
    """The batches of one reader, by position, ascending. Belongs to the process that made it."""

    def __init__(
        self,
        data: PlanData,
        consumer: Consumer,
        columns: Sequence[str],
        budget_bytes: int,
        guide: Guide | None = None,
        skips: Skips | None = None,
    ) -> None:
        use_compact_pool()
        self._guide = guide
        self._round_size = data.order.chunk_size * data.order.lanes
        self._round = consumer.first // self._round_size
        if guide is not None:
            guide.ask(self._round, self._round + 1 + ROUNDS_AHEAD)
        self.process = os.getpid()
        self._order = data.order
        self._batch_size = consumer.batch_size
        sample_bytes = mean_position_bytes(data)
        first = FIRST_SAMPLES if data.tokens is None else FIRST_ROWS
        cut = cutting(consumer, data.order, budget_bytes / sample_bytes, fetch_bytes(data) / sample_bytes, first)
        self._granule_bytes = cut.samples_per_granule * sample_bytes
        self._budget_bytes = budget_bytes
        self._held_bytes = 0
        self._fetches = fetches(pieces(consumer, data.order, cut), cut, across_rounds=guide is None)
        self._next_fetch: tuple[Piece, ...] | None = None
        self._fetcher = fetcher_of(data, consumer, columns, budget_bytes // 2, skips)
        if isinstance(self._fetcher, Fetcher) and self._fetcher.is_far and sample_bytes >= LARGE_SAMPLE_BYTES:
            return_at_once()
        self._counter = Counter(data)
        self._thread = MeteredThread("mixtera-fetch")
        self._decoder = MeteredThread("mixtera-decode")
        self._unpacker = MeteredThread("mixtera-unpack")
        self._promise_seconds = 0.0
        self._abandoned = False
        self._hits = Hits()
        self._waiting: deque[tuple[Piece, ...]] = deque()
        self._asked: deque[Asked] = deque()
        self._asked_bytes = 0.0
        self._open: dict[int, OpenLane] = {lane: OpenLane() for lane in cut.lanes}
        self._ask()

    def at(self, position: int) -> pa.RecordBatch:
        """The batch that begins at a position: a view of a piece where one piece holds all of it.

        Raises:
            SampleError: A record cannot be read as indexed.
            StorageError: A file is gone, changed or unreadable.
        """
        if self._guide is not None:
            self._enter((position + self._batch_size - 1) // self._round_size, self._guide)
        parts: list[pa.RecordBatch] = []
        missing = self._batch_size
        while missing:
            granule, skipped = divmod(position, self._order.granule)
            count = min(self._order.granule - skipped, missing)
            parts.append(self._take(granule % self._order.lanes, count))
            position += count
            missing -= count
        return parts[0] if len(parts) == 1 else pa.concat_batches(parts)

    def traffic(self) -> Traffic:
        """What was asked of storages until now."""
        delivered = self._fetcher.delivered_bytes if isinstance(self._fetcher, Fetcher) else 0.0
        return self._counter.since(delivered)

    def work(self) -> Work:
        """What was done in the background until now; of memory that is mapped, reading counts as standing still."""
        hits, others = self._hits, (self._decoder, self._unpacker)
        waited = self._promise_seconds + hits.waited_seconds
        still = self._thread.still_seconds - waited + sum(other.still_seconds for other in others)
        computed = self._thread.computed_seconds + sum(other.computed_seconds for other in others)
        waits = self._promise_seconds, len(self._asked), self._held_bytes
        return Work(max(0.0, still), computed, *waits, hits.hits, hits.misses)

    def close(self) -> None:
        """End the thread and close all files; harmless in another process than the one that made it."""
        if os.getpid() != self.process:
            return
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._decoder.shutdown(wait=True, cancel_futures=True)
        self._unpacker.shutdown(wait=True, cancel_futures=True)
        self._asked.clear()
        self._open.clear()
        self._fetcher.close()

    def abandon(self) -> None:
        """Have no more fetched. Threads and files end with this object, of which only what is under way is left.

        The collector of garbage calls this, in any thread and while that holds any lock. So nothing is waited for: the
        thread might need that lock to end, and a lock of `threading` itself this very one.
        """
        self._abandoned = True

    def _enter(self, round_: int, guide: Guide) -> None:
        """Have the round after a new one promised and read ahead."""
        if round_ > self._round:
            self._round = round_
            guide.ask(round_, round_ + 1 + ROUNDS_AHEAD)
            self._ask()

    def _take(self, lane: int, count: int) -> pa.RecordBatch:
        opened = self._open[lane]
        while opened.left == 0:
            self._receive()
        part = opened.take(count)
        if opened.left == 0:
            self._held_bytes -= opened.drop()
            self._ask()
        return part

    def _receive(self) -> None:
        """Take the oldest fetch that was asked for, waiting for it."""
        self._ask(at_least=1)
        asked = self._asked[0]
        fetched = asked.future.result().result()
        self._asked.popleft()
        self._asked_bytes -= asked.bytes
        for piece, samples in zip(asked.pieces, fetched, strict=False):
            for run in samples if isinstance(samples, tuple) else (samples,):
                if run.num_rows:
                    self._held_bytes += self._open[piece.lane].add(run)
        self._ask(at_least=1)

    def _ask(self, at_least: int = 0) -> None:
        """Ask for the next fetches as far as the budget allows, for some of them in any case."""
        while len(self._asked) < WAITING_FETCHES:
            if self._held_bytes + self._asked_bytes >= self._budget_bytes and len(self._asked) >= at_least:
                return
            group = self._next_fetch or next(self._fetches, None)
            self._next_fetch = group
            if group is None or (self._is_ahead(group) and len(self._asked) >= at_least):
                return
            self._next_fetch = None
            size = sum(piece.last - piece.first for piece in group) * self._granule_bytes
            self._waiting.append(group)
            self._asked.append(Asked(group, size, self._thread.submit(self._fetch, group)))
            self._asked_bytes += size

    def _is_ahead(self, group: tuple[Piece, ...]) -> bool:
        """Whether some pieces belong to rounds whose weights may still change: those are left alone for now."""
        return self._guide is not None and group[-1].round > self._round + ROUNDS_AHEAD

    def _fetch(self, group: tuple[Piece, ...]) -> Future[Fetched]:
        """Read some pieces in the one thread, and finish them in the other, while the first reads the next ones.

        Storages that serve many requests at a time are told of the fetches after, too. Frames that the next one needs
        are decompressed by a third thread in the meantime.
        """
        if self._abandoned:
            raise CancelledError
        try:
            return self._begun(group)
        except BaseException:
            self._abandoned = True  # the next one would try for minutes what has just failed, and `close` wait for it
            raise

    def _begun(self, group: tuple[Piece, ...]) -> Future[Fetched]:
        self._hits = hits_here()
        if self._guide is not None:
            begun = time.perf_counter()
            self._guide.wait(max(piece.round for piece in group) + 1)
            self._promise_seconds += time.perf_counter() - begun
        if isinstance(self._fetcher, Fetcher):
            for number, following in enumerate(tuple(self._waiting)):
                if self._guide is None or self._guide.is_promised(max(piece.round for piece in following) + 1):
                    self._fetcher.expect(following)
                    if number == 1:
                        self._fetcher.unpack(following, self._unpacker)
            self._waiting.popleft()
            return self._decoder.submit(self._fetcher.fetch(group, self._decoder))
        self._waiting.popleft()
        done = Future[Fetched]()
        done.set_result(self._fetcher.fetch(group))
        return done


@dataclass(frozen=True, slots=True)
class Asked:
    """A fetch that was asked for: its pieces, its bytes (about), and the batch of each piece once it is there."""

    pieces: tuple[Piece, ...]
    bytes: float
    future: Future[Future[Fetched]]


class OpenLane:
    """The fetched pieces of one lane that are not used up: the first of them is being cut."""

    def __init__(self) -> None:
        self.left = 0
        self._pieces: deque[pa.RecordBatch] = deque()

    def add(self, piece: pa.RecordBatch) -> int:
        """Append a piece; returns its bytes."""
        self._pieces.append(piece)
        if len(self._pieces) == 1:
            self.left = piece.num_rows
        return int(piece.nbytes)

    def take(self, count: int) -> pa.RecordBatch:
        """The next samples; a piece ends with a granule, so one piece holds them all."""
        piece = self._pieces[0]
        part = piece.slice(piece.num_rows - self.left, count)
        self.left -= count
        return part

    def drop(self) -> int:
        """Forget the piece that is used up; returns its bytes."""
        piece = self._pieces.popleft()
        self.left = self._pieces[0].num_rows if self._pieces else 0
        return int(piece.nbytes)


def fetcher_of(
    data: PlanData, consumer: Consumer, columns: Sequence[str], cache_bytes: int, skips: Skips | None = None
) -> Fetcher | SequenceFetcher | GroupFetcher:
    """What reads a plan: samples as they are, or rows of tokens, or both."""
    if data.tokens is None:
        return Fetcher(data, consumer, columns, cache_bytes, skips)
    if data.delivery is not None:
        from mixtera.stream.groups import GroupFetcher

        return GroupFetcher(data, data.tokens, consumer, columns, cache_bytes)
    from mixtera.stream.sequences import SequenceFetcher  # what samples have no use for

    return SequenceFetcher(data, data.tokens, consumer, cache_bytes)


def fetch_bytes(data: PlanData) -> int:
    """Bytes of a fetch, about: row groups, images, and texts that are encoded gain nothing by larger ones."""
    if data.tokens is not None:
        return FETCH_BYTES if _mean_text_bytes(data) else LARGE_FETCH_BYTES
    lie_alone = int(to_numpy(data.segments.column("start")).min(initial=0)) >= 0
    return LARGE_FETCH_BYTES if lie_alone and mean_sample_bytes(data) <= SMALL_RECORD_BYTES else FETCH_BYTES


def mean_position_bytes(data: PlanData) -> float:
    """Bytes that are read and held for a position, on average: a sample, or a row of tokens and the texts of it."""
    if data.tokens is not None and data.delivery is not None:
        return _mean_of_groups(data, data.tokens)
    if data.tokens is None:
        return mean_sample_bytes(data)
    row, sample = data.tokens.parameters.row_tokens, _mean_text_bytes(data)
    documents = 1.0
    if data.tokens.packs:
        documents = row * len(data.tokens.counts) / max(1, int(data.tokens.entry_counts.sum()))
    return 4.0 * row + documents * sample


def _mean_of_groups(data: PlanData, tokens: TokenLayout) -> float:
    """The same where components deliver different things, by their weights at the beginning."""
    row, edges = tokens.parameters.row_tokens, data.component_entries
    entry_bytes, counts = _entry_bytes(data), to_numpy(data.entries.column("count")).astype(np.float64)
    weights = data.timeline.phases[0].weights
    total = 0.0
    for columns, weight, first, last in zip(data.columns, weights, edges, edges[1:], strict=False):
        samples = max(1.0, float(counts[first:last].sum()))
        sample = float(entry_bytes[first:last].sum()) / samples
        held = float(tokens.entry_counts[first:last].sum()) if tokens.packs else samples * row
        as_row = 4.0 * row + sample * row * samples / max(1.0, held)
        total += weight * (sample if columns else as_row)
    return max(1.0, total / sum(weights))


def _entry_bytes(data: PlanData) -> npt.NDArray[np.float64]:
    """[E] bytes of the records of each entry, about."""
    names = ("content_bytes", "size", "rows")
    content, size, rows = (to_numpy(data.files.column(name)).astype(np.int64) for name in names)
    mean = np.where(content > 0, content, size) / np.maximum(rows, 1)
    file = to_numpy(data.segments.column("file"))[to_numpy(data.entries.column("segment"))]
    found: npt.NDArray[np.float64] = mean[file] * to_numpy(data.entries.column("count"))
    return found


def mean_sample_bytes(data: PlanData) -> float:
    """Bytes of a record, on average over the plan's files; at least 1."""
    return max(1.0, float(_content_bytes(data).sum()) / _rows(data))


def _mean_text_bytes(data: PlanData) -> float:
    """The same of what is read to be tokenized: of files of tokens no more is read than the row has of them."""
    from mixtera.tokens.columns import is_tokenized  # what samples have no use for

    texts = np.array([not is_tokenized(source.format) for source in data.sources], np.bool_)
    source = to_numpy(data.files.column("source")).astype(np.int64)
    return float(_content_bytes(data)[texts[source]].sum()) / _rows(data)


def _content_bytes(data: PlanData) -> npt.NDArray[np.int64]:
    """[F] bytes of the records of each file, about."""
    content, size = (to_numpy(data.files.column(name)).astype(np.int64) for name in ("content_bytes", "size"))
    found: npt.NDArray[np.int64] = content + (content == 0) * size
    return found


def _rows(data: PlanData) -> int:
    return max(1, int(to_numpy(data.files.column("rows")).sum()))
