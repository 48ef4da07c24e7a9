"""The clients of this process: requests for ranges, many at a time, and all other requests."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from mixtera.cached import cached_property
from mixtera.contracts.storage import Options
from mixtera.errors import MixteraError, StorageError
from mixtera.pauses import pauses
from mixtera_backends.storage.s3.address import Address
from mixtera_backends.storage.s3.blocks import BLOCK_BYTES, Blocks, kept_bytes
from mixtera_backends.storage.s3.budget import Budget
from mixtera_backends.storage.s3.connection import Connection, environment
from mixtera_backends.storage.s3.failures import Failure, changed, failure_of, refused
from mixtera_backends.storage.s3.patience import Patience
from mixtera_backends.storage.s3.process import PROCESS
from mixtera_backends.storage.s3.settings import Settings
from mixtera_backends.storage.s3.shared import keeper
from mixtera_backends.storage.s3.stretches import Stripe, Stripes

if TYPE_CHECKING:
    from obstore import Bytes, GetResult
    from obstore.store import S3Store

Buffer: TypeAlias = "bytes | Bytes"
"""What was read: both clients' bytes have a length and a buffer."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_PRECONDITION_FAILED = 412
_LOOK_SECONDS = 1.0
FLIGHT_BYTES = 16 << 20
"""Bytes of stripes in flight: twice as many are no faster, and take 40 MB more."""
PART_BYTES = 256 << 10
"""Bytes of a stripe that are in memory at a time, at least."""


class Refused(Exception):  # noqa: N818 - never leaves this package
    """A request failed for good."""

    def __init__(self, failure: Failure, seconds: float = 0) -> None:
        self.failure, self.seconds = failure, seconds
        super().__init__(failure)


class Clients:
    """Belongs to one process and one environment: `ClientsHere` finds the right one."""

    def __init__(self, patience: Patience, options: Options) -> None:
        self.process = os.getpid()
        self.settings = Settings.of(options)
        self.budget = Budget(self.settings)
        self.environment = environment()
        self._patience = patience
        self._connection = Connection(patience, self.settings)
        kept = kept_bytes()
        self.blocks = Blocks(kept) if kept >= BLOCK_BYTES else None
        self._kept: dict[bool, Stripes | None] = {}
        self._stores: dict[str, S3Store] = {}
        self._lock = threading.Lock()
        PROCESS.clients.add(self)

    def stripes(self, alone: bool) -> Stripes | None:
        """The stripes of this process; None where nothing is kept.

        Args:
            alone: Nobody else reads the same, so there is nothing to share.
        """
        with self._lock:
            if alone not in self._kept:
                kept = keeper(alone)
                self._kept[alone] = None if kept is None else Stripes(kept, self._submit)
            return self._kept[alone]

    @property
    def endpoint(self) -> str:
        """Where requests go."""
        return self._connection.endpoint

    def ask(self, operation: str, **arguments: object) -> dict[str, Any]:
        """One request of botocore, which tries it again by itself.

        Raises:
            Refused: It failed.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        self.budget.take()
        started = time.monotonic()
        try:
            return dict(getattr(self._connection.client, operation)(**arguments))
        except (BotoCoreError, ClientError, RuntimeError) as error:
            raise Refused(failure_of(error), time.monotonic() - started) from error

    def each(self, call: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """Call for each item, many at a time where there are many."""
        return [call(item) for item in items] if len(items) < 2 else list(self._threads.map(call, items))

    def read(
        self, address: Address, ranges: Sequence[tuple[int, int]], etag: str, indexed: bool, fast: bool
    ) -> list[Buffer]:
        """Read ranges of an object.

        Args:
            address: The object.
            ranges: First byte and byte after the last of each; none is empty.
            etag: What the object must still have.
            indexed: Whether the etag is that of the index, for messages.
            fast: Whether obstore may be used; also in the first process of all.

        Raises:
            StorageError: One cannot be read, or the object is another one.
        """
        return self.each(self._one(address, etag, indexed, fast), ranges)

    def begin(self, address: Address, range_: tuple[int, int], etag: str, indexed: bool, fast: bool) -> Future[Buffer]:
        """Begin to read one range, as `read` does."""
        return self._threads.submit(self._one(address, etag, indexed, fast), range_)

    def stripe(self, address: Address, etag: str, indexed: bool) -> Callable[[Stripe], Iterator[Buffer]]:
        """What reads one stripe of an object, in the thread that calls it, part by part as they come.

        Whole, a stripe would be in memory twice, and take twice the processor time.
        """
        store = self._store(address)
        if store is None:
            one = self._one(address, etag, indexed, fast=True)
            return lambda stripe: iter((one((stripe.start, stripe.stop)),))

        def parts(stripe: Stripe) -> Iterator[Buffer]:
            start, stop = stripe.start, stripe.stop
            self.budget.take(stop - start)
            come = 0
            try:
                for part in _parts_from_store(store, address, start, stop, etag):
                    come += len(part)
                    yield part
            except Refused as error:
                raise self._refused(address, error, indexed) from error
            self._check_length(address, come, stop - start)

        return parts

    def _submit(self, call: Callable[[], None]) -> Future[None]:
        return self._stripe_threads.submit(call)

    def _one(self, address: Address, etag: str, indexed: bool, fast: bool) -> Callable[[tuple[int, int]], Buffer]:
        """What reads one range."""
        store = self._store(address) if fast or parent_process() is not None else None

        def one(range_: tuple[int, int]) -> Buffer:
            start, stop = range_
            if store is not None:
                self.budget.take(stop - start)
            try:
                data = (
                    self._patiently(address, start, stop, etag)
                    if store is None
                    else _from_store(store, address, start, stop, etag)
                )
            except Refused as error:
                raise self._refused(address, error, indexed) from error
            self._check_length(address, len(data), stop - start)
            return data

        return one

    def _refused(self, address: Address, error: Refused, indexed: bool) -> StorageError:
        if error.failure.status == _PRECONDITION_FAILED:
            return changed(address.url, indexed)
        return refused(address.url, error.failure, self.endpoint, error.seconds)

    def _check_length(self, address: Address, come: int, asked: int) -> None:
        if come != asked:
            raise StorageError(
                f"{address.url} cannot be read: {self.endpoint} sent {come} bytes where {asked} were asked for; "
                "it is no S3 server, or something before it changes answers: check AWS_ENDPOINT_URL, and proxies"
            )

    @cached_property
    def _stripe_threads(self) -> ThreadPoolExecutor:
        """Few, since each holds a stripe in memory; and others than those for what somebody waits for."""
        count = max(1, min(self.settings.concurrency, FLIGHT_BYTES // self.settings.request_bytes))
        return ThreadPoolExecutor(count, thread_name_prefix="mixtera-s3-stripes")

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.settings.concurrency, thread_name_prefix="mixtera-s3")

    def _store(self, address: Address) -> S3Store | None:
        """Obstore's client; None where it cannot be used: after a fork, or for keys that it cannot name."""
        if not PROCESS.may_use_obstore or not _is_plain(address.key):
            return None
        with self._lock:
            store = self._stores.get(address.bucket)
            if store is None:
                store = self._stores[address.bucket] = self._connection.store(address.bucket)
                PROCESS.used_obstore = True
            return store

    def _patiently(self, address: Address, start: int, stop: int, etag: str) -> Buffer:
        """Read with botocore, which does not try again by itself once an answer has begun."""
        from tenacity import Retrying, retry_if_exception, stop_after_delay

        patience, started = self._patience, time.monotonic()
        attempts = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, Refused) and error.failure.is_temporary),
            wait=pauses(patience.first_pause_seconds, patience.longest_pause_seconds),
            stop=stop_after_delay(patience.budget_seconds),
            before_sleep=lambda _: self.budget.retried(),
            reraise=True,
        )
        try:
            return attempts(self._once, address, start, stop, etag)
        except Refused as error:
            raise Refused(error.failure, time.monotonic() - started) from error

    def _once(self, address: Address, start: int, stop: int, etag: str) -> Buffer:
        from botocore.exceptions import BotoCoreError

        self.budget.take(stop - start, requests=0)
        answer = self.ask(
            "get_object", Bucket=address.bucket, Key=address.key, Range=f"bytes={start}-{stop - 1}", IfMatch=etag
        )
        try:
            return bytes(answer["Body"].read())
        except (BotoCoreError, OSError) as error:
            raise Refused(failure_of(error)) from error


def _from_store(store: S3Store, address: Address, start: int, stop: int, etag: str) -> Buffer:
    with _refusing():
        return _answer(store, address, start, stop, etag).bytes()


def _parts_from_store(store: S3Store, address: Address, start: int, stop: int, etag: str) -> Iterator[Buffer]:
    with _refusing():
        parts = iter(_answer(store, address, start, stop, etag).stream(min_chunk_size=PART_BYTES))
    while True:
        with _refusing():
            part = next(parts, None)
        if part is None:
            return
        yield part


def _answer(store: S3Store, address: Address, start: int, stop: int, etag: str) -> GetResult:
    import obstore

    return obstore.get(store, address.key, options={"range": (start, stop), "if_match": etag})


@contextmanager
def _refusing() -> Iterator[None]:
    """Have what obstore raises be `Refused`."""
    import obstore

    began = time.monotonic()
    try:
        yield
    except MixteraError:
        raise
    except (obstore.exceptions.BaseError, OSError) as error:
        raise Refused(failure_of(error), time.monotonic() - began) from error


def _is_plain(key: str) -> bool:
    """Whether obstore names an object as S3 does: no empty or dotted part, no control character."""
    return key.isprintable() and not any(part in ("", ".", "..") for part in key.split("/"))


class ClientsHere:
    """The clients for this process and its environment now. Holds none before the first call."""

    def __init__(self, patience: Patience, options: Options) -> None:
        self._patience, self._options = patience, dict(options)
        self._clients: Clients | None = None
        self._looked = 0.0

    def get(self) -> Clients:
        """The clients; new ones after a fork, and when the environment names others."""
        clients = self._clients
        if clients is None or clients.process != os.getpid() or clients.environment != environment():
            clients = self._clients = Clients(self._patience, self._options)
        self._looked = time.monotonic()
        return clients

    def current(self) -> Clients:
        """The clients, for one of many reads of what is open: the environment is looked at once in a second.

        To go through all of it takes as long as to find a range in the blocks.
        """
        clients = self._clients
        if clients is None or clients.process != os.getpid() or time.monotonic() - self._looked > _LOOK_SECONDS:
            return self.get()
        return clients
