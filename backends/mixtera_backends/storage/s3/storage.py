"""`S3Storage`: lists, describes and opens objects."""

from __future__ import annotations

import difflib
import glob
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from mixtera.contracts.storage import AccessProfile, FileInfo, Option, Options, Storage
from mixtera.errors import MissingError, StorageError
from mixtera.formats.temporary import shared_directory
from mixtera_backends.storage.files import RangesFile
from mixtera_backends.storage.patterns import Pattern, matcher
from mixtera_backends.storage.s3.address import SCHEME, Address, address_of
from mixtera_backends.storage.s3.blocks import BLOCK_BYTES, BRIDGED_BLOCKS, kept_bytes
from mixtera_backends.storage.s3.budget import Traffic
from mixtera_backends.storage.s3.clients import Clients, ClientsHere, Refused
from mixtera_backends.storage.s3.failures import missing, refused
from mixtera_backends.storage.s3.objects import GAP_BYTES, Positions, S3Object, StretchesOfObject
from mixtera_backends.storage.s3.patience import Patience
from mixtera_backends.storage.s3.settings import OPTIONS, Settings
from mixtera_backends.storage.s3.shared import stripe_bytes
from mixtera_backends.storage.s3.upload import create, delete, upload

_NOT_FOUND: Final = 404


class S3Storage:
    """`s3://bucket/key`, as the environment and `~/.aws` say where that is and with whose rights."""

    name = "s3"
    schemes: tuple[str, ...] = (SCHEME,)

    options: tuple[Option, ...] = OPTIONS
    any_option = False

    def __init__(self, patience: Patience | None = None, options: Options | None = None) -> None:
        self._patience, self._given = patience or Patience(), dict(options or {})
        self._clients = ClientsHere(self._patience, self._given)

    def __reduce__(self) -> tuple[type[S3Storage], tuple[Patience, Options]]:
        return S3Storage, (self._patience, self._given)

    def configured(self, options: Options) -> Storage:
        """This storage with options; the environment has the last word."""
        return S3Storage(self._patience, options)

    @property
    def traffic(self) -> Traffic:
        """What this process has asked for."""
        return self._clients.get().budget.traffic

    def profile(self) -> AccessProfile:
        """A request costs as much as the bytes of a gap; many at a time, in blocks that are kept."""
        settings = Settings.of(self._given)
        keeps = kept_bytes() >= BLOCK_BYTES
        gap, block = (BRIDGED_BLOCKS * BLOCK_BYTES, BLOCK_BYTES) if keeps else (GAP_BYTES, 0)
        kept, stays = stripe_bytes(), shared_directory() is not None
        return AccessProfile(settings.request_bytes, gap, settings.concurrency, False, block, kept, kept > 0, stays)

    def expand(self, patterns: Sequence[str]) -> list[FileInfo]:
        """List the objects of some patterns, each once, sorted by (name, url); `**` stands for any depth."""
        exact = [pattern for pattern in patterns if not glob.has_magic(address_of(pattern).key)]
        described = dict(zip(exact, self._clients.get().each(self.stat, exact), strict=True)) if exact else {}
        found: dict[str, FileInfo] = {}
        for pattern in patterns:
            files = [described[pattern]] if pattern in described else self._matching(pattern, address_of(pattern))
            for file in files:
                found.setdefault(file.url, file)
        return sorted(found.values(), key=lambda file: (file.name, file.url))

    def stat(self, url: str) -> FileInfo:
        """Describe one object."""
        address = address_of(url)
        clients = self._clients.get()
        if address.key.endswith("/"):  # a folder, which some servers describe as an empty object
            raise missing(url, self._advice(address))
        try:
            head = clients.ask("head_object", Bucket=address.bucket, Key=address.key)
        except Refused as error:
            if error.failure.status != _NOT_FOUND:
                raise refused(url, error.failure, clients.endpoint, error.seconds) from error
        else:
            return _info(address, address.name, head["ContentLength"], head["LastModified"], head["ETag"])
        raise missing(url, self._advice(address))

    def open(self, url: str) -> BinaryIO:
        """Open an object for reading from its beginning, as it is now: a change meanwhile is an error."""
        return _file(self._object(self.stat(url), fast=False, indexed=False))

    def random_access(self, url: str) -> S3Object:
        """Open an object for reading in ranges, as it is now: a change meanwhile is an error."""
        return self._object(self.stat(url), fast=True, indexed=False)

    def pinned(self, file: FileInfo) -> Storage:
        """This storage, in which the file's URL is the object of that etag and nothing else."""
        return PinnedObject(self, file) if file.etag else self

    def write(self, url: str, content: bytes | Path) -> None:
        """Write an object, or replace it: readers see the old one or the new one."""
        try:
            with self._writing(url, "written") as clients:
                upload(clients, address_of(url), content)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"{content!s} cannot be written to {url}: {error.strerror or error}") from error

    def create(self, url: str, content: bytes) -> bool:
        """Write an object where there is none; of several at once, the server lets one."""
        with self._writing(url, "written") as clients:
            return create(clients, address_of(url), content)

    def delete(self, urls: Sequence[str]) -> None:
        """Delete objects, many with one request; what is not there is no error."""
        addresses = [address_of(url) for url in urls]
        for bucket in sorted({address.bucket for address in addresses}):
            keys = [address.key for address in addresses if address.bucket == bucket]
            with self._writing(f"s3://{bucket}/{keys[0]}", "deleted") as clients:
                delete(clients, bucket, keys)

    @contextmanager
    def _writing(self, url: str, done: str) -> Iterator[Clients]:
        clients = self._clients.get()
        try:
            yield clients
        except Refused as error:
            raise refused(url, error.failure, clients.endpoint, error.seconds, done) from error

    def _object(
        self, file: FileInfo, fast: bool, indexed: bool, stretches: StretchesOfObject | None = None
    ) -> S3Object:
        return S3Object(self._clients, address_of(file.url), file.size, f'"{file.etag}"', indexed, fast, stretches)

    def _matching(self, pattern: str, address: Address) -> list[FileInfo]:
        wanted = Pattern.of(address.key)
        matches = matcher(address.key)
        files, seen = [], 0
        for entry in self._listed(pattern, address.bucket, wanted.prefix, wanted.flat):
            key = entry["Key"]
            if key == address.key:
                return [_listed_info(Address(address.bucket, key), key.rpartition("/")[2], entry)]
            seen += 1
            if not key.endswith("/") and matches(key):
                files.append(_listed_info(Address(address.bucket, key), key.removeprefix(wanted.base), entry))
        if not files:
            begins = f"s3://{address.bucket}/{wanted.prefix}"
            raise MissingError(
                f"{pattern} matches no object: "
                + (
                    f"of {seen:,} below {begins} none does, check the pattern"
                    if seen
                    else f"there is none at {begins}…"
                )
            )
        return files

    def _listed(self, url: str, bucket: str, prefix: str, flat: bool) -> Iterator[dict[str, Any]]:
        """The entries of a listing, page by page."""
        arguments = {"Bucket": bucket, "Prefix": prefix} | ({"Delimiter": "/"} if flat else {})
        while True:
            page = self._page(url, **arguments)
            yield from page.get("Contents", ())
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def _page(self, url: str, **arguments: object) -> dict[str, Any]:
        """One page of a listing."""
        clients = self._clients.get()
        try:
            return clients.ask("list_objects_v2", **arguments)
        except Refused as error:
            raise refused(url, error.failure, clients.endpoint, error.seconds) from error

    def _advice(self, address: Address) -> str:
        """What could be meant where there is no object; it also finds out that there is no bucket."""
        folder = address.key.rstrip("/") + "/"
        if self._page(address.url, Bucket=address.bucket, Prefix=folder, MaxKeys=1).get("Contents"):
            return f"it is a folder: name its objects, for example s3://{address.bucket}/{folder}**/*.jsonl"
        parent = address.key.rpartition("/")[0]
        prefix = parent + "/" if parent else ""
        page = self._page(address.url, Bucket=address.bucket, Prefix=prefix, Delimiter="/")
        near = [entry["Key"] for entry in page.get("Contents", ())]
        if not near and not page.get("CommonPrefixes"):
            return f"nothing lies below s3://{address.bucket}/{prefix}"
        close = difflib.get_close_matches(address.key, near, 1)
        return f"did you mean s3://{address.bucket}/{close[0]}?" if close else "check the key"


class PinnedObject:
    """A storage in which one URL is the object that was indexed: no request asks what it is, every read checks it."""

    name = S3Storage.name
    schemes: tuple[str, ...] = S3Storage.schemes

    def __init__(self, storage: S3Storage, file: FileInfo, stretches: StretchesOfObject | None = None) -> None:
        self._storage, self._pinned, self._stretches = storage, file, stretches

    def stretched(self, starts: Positions, stops: Positions, alone: bool) -> PinnedObject:
        """This storage, which reads some stretches of the object whole; see `Stretching`."""
        return PinnedObject(self._storage, self._pinned, StretchesOfObject(starts, stops, alone))

    def profile(self) -> AccessProfile:
        """That of the storage."""
        return self._storage.profile()

    def expand(self, patterns: Sequence[str]) -> list[FileInfo]:
        """As the storage does."""
        return self._storage.expand(patterns)

    def stat(self, url: str) -> FileInfo:
        """As the storage does: what the object is now."""
        return self._storage.stat(url)

    def open(self, url: str) -> BinaryIO:
        """Open it for reading from its beginning; with the fast client if its records will be read here, too."""
        if url != self._pinned.url:
            return self._storage.open(url)
        return _file(self._storage._object(self._pinned, fast=self._stretches is not None, indexed=True))

    def random_access(self, url: str) -> S3Object:
        """Open it for reading in ranges."""
        if url != self._pinned.url:
            return self._storage.random_access(url)
        return self._storage._object(self._pinned, fast=True, indexed=True, stretches=self._stretches)


def _file(source: S3Object) -> BinaryIO:
    return cast(BinaryIO, RangesFile(source))


def _listed_info(address: Address, name: str, entry: dict[str, Any]) -> FileInfo:
    return _info(address, name, entry["Size"], entry["LastModified"], entry["ETag"])


def _info(address: Address, name: str, size: int, modified: datetime, etag: str) -> FileInfo:
    """Times are whole seconds: a description has no more, while some servers list more."""
    return FileInfo(address.url, name, size, int(modified.timestamp()) * 1_000_000_000, etag.strip('"'))
