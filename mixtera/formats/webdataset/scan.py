"""The scan of a tar: where each sample lies, and its properties, from headers and small members.

Data that nobody asks for are passed over. The headers of a tar are a chain, each says where the next one is, so they
are followed one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.contracts.format import BadSample, ContentColumn, FileFacts, PropertyColumn, ScanBatch
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import SampleError
from mixtera.formats.compression import Compression, plain_stream
from mixtera.formats.opening import open_unchanged
from mixtera.formats.values import ARROW_TYPES, INDEX_FIELDS
from mixtera.formats.webdataset.members import End, Sample, samples
from mixtera.formats.webdataset.samples import Looking
from mixtera.formats.webdataset.source import Forward

BATCH_SAMPLES: Final = 8192
BATCH_BYTES: Final = 8 << 20
"""Samples behind one batch of the index, and bytes of their members that are held for it, about."""

WHOLE_BYTES: Final = 64 << 20
"""A compressed file larger than this when decompressed is reported as one group that is read as a whole."""

_EXCERPT_BYTES: Final = 80


class WebDatasetScan:
    """The scan of one file: iterate it to the end, then ask for `facts`."""

    def __init__(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> None:
        self._storage = storage
        self._file = file
        self._properties = tuple(properties)
        self._content = tuple(content)
        self._schema = pa.schema([*INDEX_FIELDS, *(pa.field(p.name, ARROW_TYPES[p.type]) for p in properties)])
        self._rows = self._content_bytes = 0
        self._compression: Compression | None = None

    def __iter__(self) -> Iterator[ScanBatch]:
        """Pieces of the index."""
        self._rows = self._content_bytes = 0
        with (
            open_unchanged(self._storage, self._file) as source,
            plain_stream(source, self._file) as (stream, self._compression),
        ):
            yield from self._batches(source, stream)

    def facts(self) -> FileFacts:
        """What the scan found; valid after the last piece."""
        whole = self._compression is not None and self._content_bytes > WHOLE_BYTES
        return FileFacts(self._rows, (self._rows,) if whole else (), self._content_bytes)

    def _batches(self, source: BinaryIO, stream: BinaryIO) -> Iterator[ScanBatch]:
        size = self._file.size if self._compression is None else None
        forward = Forward(stream, self._file.url, size)
        looking = Looking(self._content, self._properties)
        told = 0
        for part in self._parts(forward, looking):
            here = source.tell()
            yield self._batch(part, looking, here - told)
            told = here
        if self._file.size > told:
            yield ScanBatch(pa.RecordBatch.from_pylist([], schema=self._schema), (), self._file.size - told)

    def _parts(self, forward: Forward, looking: Looking) -> Iterator[list[Sample]]:
        part: list[Sample] = []
        last = held = 0
        for sample in samples(forward, looking.wanted):
            if isinstance(sample, End):
                self._check_end(forward, sample, last)
                break
            part.append(sample)
            last = sample.stop
            held += sum(map(len, sample.data.values()))
            if len(part) >= BATCH_SAMPLES or held >= BATCH_BYTES:
                yield part
                part, held = [], 0
        yield part

    def _check_end(self, forward: Forward, end: End, last: int) -> None:
        """Refuse a tar that does not end as it should.

        Raises:
            SampleError: So it is.
        """
        if end.at < 0:
            what = "not all bytes of its last member are there" if forward.reached < last else "its end is missing"
            raise SampleError(
                f"{self._file.url}: the tar is cut short, {what}: a tar ends with 1,024 zero bytes; copy or write it "
                "again"
            )
        if not forward.rest_is_zero(end.at):
            raise SampleError(
                f"{self._file.url}: something follows behind the end of the tar at byte {end.at:,}: are these several "
                "tars in one file? Join them with `tar --concatenate`, or give each a file of its own"
            )

    def _batch(self, part: Sequence[Sample], looking: Looking, bytes_read: int) -> ScanBatch:
        first, self._rows = self._rows, self._rows + len(part)
        reasons = [looking.take(sample) for sample in part]
        kept = [number for number, reason in enumerate(reasons) if not reason]
        starts, stops = (np.array([getattr(part[n], name) for n in kept], np.int64) for name in ("start", "stop"))
        self._content_bytes += int((stops - starts).sum())
        index = (first + np.array(kept, np.int64), starts, stops - starts)
        arrays = [*map(from_numpy, index), *looking.drain()]
        bad = tuple(
            BadSample(first + number, part[number].start, reason, part[number].name[:_EXCERPT_BYTES])
            for number, reason in enumerate(reasons)
            if reason
        )
        return ScanBatch(pa.RecordBatch.from_arrays(arrays, schema=self._schema), bad, bytes_read)
