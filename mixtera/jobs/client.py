"""A job that a service has."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, Unpack

import msgspec

from mixtera.artifact import remote
from mixtera.artifact.model import PlanData
from mixtera.artifact.skips import Skip
from mixtera.errors import MixteraError, PlanError, ServiceError
from mixtera.jobs.beats import Beats
from mixtera.jobs.connection import PATIENCE_SECONDS, Access, Connection, parted
from mixtera.jobs.messages import (
    PREFIX,
    PROTOCOL,
    Attached,
    CheckpointRequest,
    Done,
    FeedbackRequest,
    JobEntry,
    Jobs,
    JoinRequest,
    PromiseRequest,
    Skipped,
    SkipRequest,
    Status,
    UnreadableSample,
)
from mixtera.jobs.model import Promise, Receipt, Report, Topology, clean_report
from mixtera.jobs.tunnel import Tunnel
from mixtera.plan import Plan
from mixtera.stream import Stream
from mixtera.stream.consumer import Consumer
from mixtera.stream.guide import Guide
from mixtera.stream.skips import Skips
from mixtera.stream.source import BatchSource, OpenBatches

_LOG: Final = logging.getLogger(__name__)
_PIECE_BYTES: Final = 1 << 20
Reading = Literal["direct", "tunnel"]


class Options(TypedDict, total=False):
    """How a client reaches a service; all may be left out.

    Attributes:
        token_file: A file with the token, read at every request: it may be replaced meanwhile.
        ca: File with the certificates that the service's certificate must come from; the system's by default.
        certificate: File with the client's own certificate.
        key: File with the key to it.
        patience: Seconds until a service that does not answer counts as gone; 600 by default.
        reading: `direct` (the default): this process reads the data itself; `tunnel`: through the service.
        remap: URL prefix → URL prefix, for data that lies elsewhere on this machine.
    """

    token_file: str
    ca: str
    certificate: str
    key: str
    patience: float
    reading: Reading
    remap: Mapping[str, str]


class ServiceJob:
    """See `JobPort`.

    A copy in another process (a DataLoader's worker) opens the same plan and asks nobody for it. The token goes with
    it where it was given as an argument; one of a file or of the environment is read there.
    """

    def __init__(
        self, url: str, token: str | None = None, plan: Path | None = None, **options: Unpack[Options]
    ) -> None:
        """Attach.

        Args:
            url: `https://host:port/jobs/name`.
            token: The token.
            plan: A copy of the job's plan on this machine, where it is known already.
            **options: See `Options`.

        Raises:
            ServiceError: The service cannot be reached, or does not let us in.
            PlanError: The plan is damaged.
            StorageError: There is no room for a copy of it.
        """
        unknown = set(options) - set(Options.__annotations__)
        if unknown:
            raise ServiceError(f"no option {min(unknown)!r}; there are token, {', '.join(Options.__annotations__)}")
        reading = options.get("reading", "direct")
        if reading not in ("direct", "tunnel"):
            raise ServiceError(f"reading is {reading!r}; it is direct or tunnel")
        self._options = options
        self._token = token
        service, self._name = parted(url)
        self.address = f"{service}/jobs/{self._name}"
        self.connection = Connection(service, access(token, options))
        self.reading: Reading = reading
        self._path = f"{PREFIX}/jobs/{self._name}"
        self._skips: tuple[Skip, ...] = ()
        self._closed = False
        self.plan = self._attached() if plan is None else Plan.open(str(plan), options.get("remap"))
        self._beats = Beats(self.connection, f"{self._path}/alive", self.plan.start)

    def __reduce__(self) -> tuple[Any, ...]:
        return _copied, (self.address, self._token, str(self.plan.path), self.plan.url, self._options, self._skips)

    def promise(self, first: int, rounds: int) -> Promise:
        """See `JobPort`."""
        return self.connection.post(f"{self._path}/promise", PromiseRequest(first, rounds), Promise)

    def observe(self, rank: int, worker: int, stream: Stream) -> None:
        """See `JobPort`: a thread says so every few seconds, until the reader is gone."""
        self._beats.add(rank, worker, stream)

    def report(self, report: Report) -> Receipt:
        """See `JobPort`."""
        message = FeedbackRequest.of(clean_report(report))
        return self.connection.post(f"{self._path}/feedback", message, Receipt)

    def join(self, topology: Topology) -> None:
        """See `JobPort`. Where the plan does not follow the training, nobody waits for the answer."""
        message = JoinRequest(topology.world_size, topology.batch_size, topology.start)
        if self.plan.data.steering is not None:
            self.connection.post(f"{self._path}/join", message, Done)
            return

        def say() -> None:
            try:
                self.connection.post(f"{self._path}/join", message, Done, is_over=lambda: self._closed)
            except MixteraError as error:
                _LOG.warning("%s does not know who reads it: %s", self.address, error)

        threading.Thread(target=say, name="mixtera-join", daemon=True).start()

    def skips(self) -> tuple[Skip, ...]:
        """See `JobPort`: those that were noted before this process attached, and its own."""
        return self._skips

    def skip(self, skips: Sequence[Skip], most: int) -> tuple[Skip, ...]:
        """See `JobPort`."""
        found = self.connection.post(
            f"{self._path}/skip", SkipRequest(tuple(map(UnreadableSample.of, skips)), most), Skipped
        ).skips
        known = {skip.position: skip for skip in (*self._skips, *found)}
        self._skips = tuple(known.values())
        return found

    def checkpoint(self, position: int) -> None:
        """See `JobPort`."""
        self.connection.post(f"{self._path}/checkpoint", CheckpointRequest(position), Done)

    def status(self) -> dict[str, Any]:
        """See `JobPort`; `readers` are those that the service has heard of."""
        return _status(self.connection, self._path)

    @classmethod
    def status_of(cls, url: str, token: str | None = None, **options: Unpack[Options]) -> dict[str, Any]:
        """The status of a job whose plan is not needed.

        Raises:
            ServiceError: The service cannot be reached, or does not let us in.
        """
        service, name = parted(url)
        return _status(Connection(service, access(token, options)), f"{PREFIX}/jobs/{name}")

    @property
    def source(self) -> BatchSource | None:
        """See `JobPort`."""
        return None if self.reading == "direct" else self._tunnel

    def close(self) -> None:
        """See `JobPort`."""
        self._closed = True
        self._beats.close()
        self.connection.close()

    def _tunnel(
        self,
        data: PlanData,
        consumer: Consumer,
        columns: Sequence[str],
        budget_bytes: int,
        guide: Guide | None,
        skips: Skips | None,
    ) -> OpenBatches:
        most = 0 if skips is None else skips.most
        return Tunnel(self.connection, f"{self._path}/read", data, consumer, columns, budget_bytes, guide, most)

    def _attached(self) -> Plan:
        """The plan: a copy that is there, where the server has it if that is here, or a copy from the server."""
        found = self.connection.get(f"{self._path}/attach", Attached)
        if found.protocol != PROTOCOL:
            raise ServiceError(f"{self.address} speaks version {found.protocol}, this release {PROTOCOL}: upgrade one")
        directory = remote.copy_of(found.key) or self._here(found) or self._downloaded(found)
        plan = Plan.open(str(directory), self._options.get("remap"))
        if plan.digest != found.plan:
            raise PlanError(f"{directory} is {plan.digest}, and the job is of {found.plan}: remove that directory")
        plan.url = found.url
        self._skips = found.skips
        return plan

    def _here(self, found: Attached) -> Path | None:
        """Where the server has the plan, if this process sees the same one there."""
        if found.url is None or "://" in found.url:
            return None
        path = Path(found.url)
        try:
            document = (path / found.files[0].name).read_bytes() if found.files else b""
        except OSError:
            return None
        return path if remote.key_of(document) == found.key else None

    def _downloaded(self, found: Attached) -> Path:
        numbers = {file.name: number for number, file in enumerate(found.files)}
        if not found.files:
            raise ServiceError(f"{self.address} has no plan")

        def download(name: str, target: Path) -> None:
            number = numbers.get(name)
            if number is None:
                raise PlanError(f"{self.address} has no file {name} of its plan")
            self.connection.tries()(self._fetch, number, target)

        document = self.connection.tries()(self._content, 0)
        if remote.key_of(document) != found.key:
            raise PlanError(f"{self.address}: the plan that it sends is not the one that it names")
        return remote.copied(self.address, document, download)

    def _content(self, number: int) -> bytes:
        with self.connection.open("GET", f"{self._path}/plan/{number}", None) as response:
            return response.read()

    def _fetch(self, number: int, target: Path) -> None:
        with self.connection.open("GET", f"{self._path}/plan/{number}", None) as response, target.open("wb") as file:
            for piece in response.stream(_PIECE_BYTES):
                file.write(piece)


class Service:
    """A service, without one of its jobs."""

    def __init__(self, url: str, token: str | None = None, **options: Unpack[Options]) -> None:
        """Prepare."""
        self._connection = Connection(url, access(token, options))

    def jobs(self) -> tuple[JobEntry, ...]:
        """The jobs that the token may see."""
        return self._connection.get(f"{PREFIX}/jobs", Jobs).jobs

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()


def _copied(
    url: str, token: str | None, plan: str, plan_url: str | None, options: Options, skips: tuple[Skip, ...]
) -> ServiceJob:
    job = ServiceJob(url, token, Path(plan), **options)
    job.plan.url, job._skips = plan_url, skips
    return job


def _status(connection: Connection, path: str) -> dict[str, Any]:
    found = connection.get(f"{path}/status", Status)
    return found.status | {"readers": [_plain(reader) for reader in found.readers]}


def _plain(value: Any) -> dict[str, Any]:  # noqa: ANN401 - a struct
    found: dict[str, Any] = msgspec.to_builtins(value)
    return found


def access(token: str | None, options: Options) -> Access:
    """What a client shows and believes, of what was given."""
    return Access(
        token,
        options.get("token_file"),
        options.get("ca"),
        options.get("certificate"),
        options.get("key"),
        options.get("patience", PATIENCE_SECONDS),
    )
