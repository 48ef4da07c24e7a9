"""`s3://bucket/key`: taken apart and put together."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from typing import Final

from mixtera.errors import StorageError

SCHEME: Final = "s3"
_PREFIX: Final = f"{SCHEME}://"
_BUCKET: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,254}")


@dataclass(frozen=True, slots=True)
class Address:
    """A bucket and a key in it. A key is as it stands in the URL: nothing in it is escaped."""

    bucket: str
    key: str

    @property
    def url(self) -> str:
        """The URL."""
        return f"{_PREFIX}{self.bucket}/{self.key}"

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]


def address_of(url: str) -> Address:
    """The address of a URL, or of a pattern.

    Raises:
        StorageError: It names no bucket, or no key.
    """
    bucket, _, key = url.removeprefix(_PREFIX).partition("/")
    if glob.has_magic(bucket):
        raise StorageError(f"{url}: a bucket cannot be a pattern: name it, for example s3://data/{key or '*.jsonl'}")
    if not _BUCKET.fullmatch(bucket):
        raise StorageError(f"{url} names no bucket: an S3 URL is s3://bucket/key")
    if not key:
        raise StorageError(f"{url} is a bucket: name its objects, for example s3://{bucket}/**/*.jsonl")
    return Address(bucket, key)
