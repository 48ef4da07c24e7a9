"""What is said of a reader to a service."""

from __future__ import annotations

from mixtera.jobs.messages import ReaderNumbers
from mixtera.stream import Stream


def numbers_of(stream: Stream) -> ReaderNumbers:
    """The statistics of a stream as they are sent."""
    found = stream.statistics()
    work, traffic = found.work, found.traffic
    return ReaderNumbers(
        found.batches,
        round(found.waited_seconds, 6),
        round(found.between_seconds, 6),
        round(work.storage_seconds, 6),
        round(work.decoding_seconds, 6),
        round(work.promise_seconds, 6),
        work.queue,
        max(0, work.held_bytes),
        max(0, traffic.read_bytes),
        max(0, traffic.delivered_bytes),
        work.cache_hits,
        work.cache_misses,
    )
