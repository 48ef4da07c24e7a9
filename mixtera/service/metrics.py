"""Metrics of the service for Prometheus.

Nothing in them grows with the time, with the number of ranks, or with what strangers send: labels are the names of
actions, statuses, and the jobs and components that there are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from mixtera.jobs.messages import SeenReader
from mixtera.service.reading import Buffer
from mixtera.service.watched import Watched
from mixtera.stream.statistics import SAYS

MEDIA: Final = CONTENT_TYPE_LATEST
MOST_COMPONENTS: Final = 200
"""Components of a job that have series of their own: those with the largest shares. The others are one."""
OTHERS: Final = "(others)"
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_TOO_OFTEN: Final = 429


class Metrics:
    """What the service counts of itself."""

    def __init__(self) -> None:
        """All at 0."""
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "mixtera_requests", "Requests, by action and status.", ("endpoint", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "mixtera_request_seconds",
            "Seconds until a request was answered; of a stream, until it began.",
            ("endpoint",),
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._limited = Counter("mixtera_rate_limited", "Requests refused as too many.", registry=self.registry)
        self._bytes = Counter(
            "mixtera_tunnel_bytes", "Bytes of samples sent through the service.", registry=self.registry
        )
        self._open = Gauge("mixtera_tunnels_open", "Streams read through the service now.", registry=self.registry)
        self._known: dict[tuple[str, int], tuple[Callable[[], None], Callable[[float], None]]] = {}

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            endpoint: The action's name.
            status: HTTP status.
            seconds: Until it was answered.
        """
        found = self._known.get((endpoint, status))
        if found is None:  # labels are looked up once
            counter = self._requests.labels(endpoint, str(status))
            found = self._known[endpoint, status] = counter.inc, self._seconds.labels(endpoint).observe
        found[0]()
        found[1](seconds)
        if status == _TOO_OFTEN:
            self._limited.inc()

    def sent(self, count: int) -> None:
        """Count bytes of samples."""
        self._bytes.inc(count)

    def text(self, jobs: Sequence[Watched], streams: int) -> bytes:
        """All metrics, as Prometheus reads them.

        Args:
            jobs: The jobs that are told of.
            streams: Streams that are read through the service now.
        """
        self._open.set(streams)
        of_jobs = CollectorRegistry()
        of_jobs.register(_Jobs(jobs))
        return bytes(generate_latest(self.registry) + generate_latest(of_jobs))


async def counted(pieces: AsyncGenerator[Buffer, None], count: Callable[[int], None]) -> AsyncGenerator[Buffer, None]:
    """The same pieces; how long each is, is counted once it was sent."""
    try:
        async for piece in pieces:
            yield piece
            count(len(piece))
    finally:
        await pieces.aclose()


class _Jobs:
    """The metrics of jobs, made when they are asked for."""

    def __init__(self, jobs: Sequence[Watched]) -> None:
        self._jobs = jobs

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client."""
        yield from _by_component(self._jobs)
        yield from _of_jobs(self._jobs)

    def describe(self) -> Iterable[Metric]:
        """See prometheus_client: nothing is collected to register this."""
        return ()


def _by_component(jobs: Sequence[Watched]) -> Iterable[Metric]:
    asked = _gauge("share_asked", "Share that is asked for.", "component")
    realised = _gauge("share_realised", "Share in what the furthest reader has taken.", "component")
    loss = _gauge("loss", "Mean loss of the last report.", "component")
    for each in jobs:
        order = sorted(range(len(each.asked)), key=lambda number: (-each.asked[number], number))
        shown, others = order[:MOST_COMPONENTS], order[MOST_COMPONENTS:]
        names = each.components
        for number in sorted(shown):
            labels = [each.job, names[number]]
            asked.add_metric(labels, each.asked[number])
            if each.realised is not None:
                realised.add_metric(labels, each.realised[number])
            mean = each.losses[number]
            if mean is not None:
                loss.add_metric(labels, mean)
        if others:
            asked.add_metric([each.job, OTHERS], sum(each.asked[number] for number in others))
            if each.realised is not None:
                realised.add_metric([each.job, OTHERS], sum(each.realised[number] for number in others))
    return asked, realised, loss


_GAUGES: Final[tuple[tuple[str, str, Callable[[Watched], float | None]], ...]] = (
    ("step", "Step of the last report.", lambda job: job.step),
    ("promised_position", "Position before which nothing changes any more.", lambda job: job.status["promised"]),
    ("furthest_position", "Position of the furthest reader that lives.", lambda job: job.furthest),
    ("slowest_position", "Position of the slowest reader that lives.", lambda job: job.slowest),
    ("end_position", "Position of the end, should the weights stay.", lambda job: job.status["end"]),
    ("checkpoint_position", "Position of the last checkpoint.", lambda job: job.status["checkpoint"]),
    ("fit_open", "Whether a fit is under way.", lambda job: float(job.status["fit"] is not None)),
    ("reports_waiting", "Reports that wait for a fit.", lambda job: job.status["waiting"]),
)
_COUNTERS: Final[tuple[tuple[str, str, Callable[[Watched], float]], ...]] = (
    ("weight_changes", "How often the weights have changed.", lambda job: job.status["changes"]),
    ("records", "Records of the journal.", lambda job: job.status["records"]),
    ("skipped", "Positions whose sample could not be read: another one came.", lambda job: job.status["skipped"]),
)


def _of_jobs(jobs: Sequence[Watched]) -> Iterable[Metric]:
    for name, says, value_of in _GAUGES:
        gauge = _gauge(name, says)
        for each in jobs:
            value = value_of(each)
            if value is not None:
                gauge.add_metric([each.job], value)
        yield gauge
    for name, says, count_of in _COUNTERS:
        counter = CounterMetricFamily(f"mixtera_job_{name}", says, labels=("job",))
        for each in jobs:
            counter.add_metric([each.job], count_of(each))
        yield counter
    readers = _gauge("readers", "Readers that were heard of, alive and gone.", "state")
    for each in jobs:
        gone = sum(reader.gone for reader in each.readers)
        readers.add_metric([each.job, "alive"], len(each.readers) - gone)
        readers.add_metric([each.job, "gone"], gone)
    yield readers
    yield from _of_readers(jobs)


def _of_readers(jobs: Sequence[Watched]) -> Iterable[Metric]:
    waits = _gauge("data_wait_share", "Share of their time in which readers wait for data.", "over")
    limits = _gauge("readers_limited", "Readers by what sets their pace.", "by")
    read = _gauge("read_bytes_per_second", "Bytes that all readers read of storages that count them.")
    hits = _gauge("cache_hit_share", "Share of the pieces of files that readers needed and had decoded already.")
    queue = _gauge("queued_fetches", "Fetches that all readers have asked for and not yet taken.")
    held = _gauge("held_bytes", "Bytes that all readers have decoded and not yet taken.")
    for each in jobs:
        found = [reader.lately for reader in each.readers if reader.lately is not None and not reader.gone]
        for by in SAYS:
            limits.add_metric([each.job, by], sum(one.limit == by for one in found))
        if found:
            shares = [one.wait_share for one in found]
            waits.add_metric([each.job, "mean"], sum(shares) / len(shares))
            waits.add_metric([each.job, "worst"], max(shares))
            read.add_metric([each.job], bytes_per_second(each.readers))
            held.add_metric([each.job], sum(one.held_bytes for one in found))
            queue.add_metric([each.job], sum(one.queue for one in found))
            looks = sum(one.cache_hits + one.cache_misses for one in found)
            if looks:
                hits.add_metric([each.job], sum(one.cache_hits for one in found) / looks)
    return waits, limits, read, held, queue, hits


def bytes_per_second(readers: Sequence[SeenReader]) -> float:
    """Bytes that all living readers read; storages count them for all readers of a process together."""
    most: dict[str, float] = {}
    for reader in readers:
        if reader.lately is not None and not reader.gone:
            most[reader.process] = max(most.get(reader.process, 0.0), reader.lately.bytes_per_second)
    return sum(most.values())


def _gauge(name: str, says: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"mixtera_job_{name}", says, labels=("job", *labels))
