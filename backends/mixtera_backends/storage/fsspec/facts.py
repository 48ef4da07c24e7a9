"""What fsspec's implementations say of a file, each in words of its own → `FileInfo`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from mixtera.contracts.storage import FileInfo
from mixtera.errors import StorageError
from mixtera_backends.storage.fsspec.address import Address

_TIMES: Final = (
    "mtime",
    "LastModified",
    "last_modified",
    "Last-Modified",
    "updated",
    "modified",
    "modifiedAt",
    "date_time",
    "created",
)
_ETAGS: Final = ("ETag", "etag", "md5Hash", "Content-MD5", "content_md5", "checksum", "CRC", "blob_id", "sha256")


def file_info(address: Address, name: str, facts: Mapping[str, object]) -> FileInfo:
    """A file, as a listing or a description has it.

    Raises:
        StorageError: It is a directory, or nobody knows how large it is.
    """
    url, size = address.url, facts.get("size")
    if is_directory(facts) or url.endswith("/"):
        raise StorageError(f"{url} is a directory: name its files, for example {url.rstrip('/')}/*.jsonl")
    if not isinstance(size, int):
        raise StorageError(
            f"{url}: the server does not say how large it is, so that it cannot be read in ranges; copy it to a disk"
        )
    return FileInfo(url, name, size, _modified_ns(facts), _etag(facts))


def is_directory(facts: Mapping[str, object]) -> bool:
    """Whether it is a directory; a web server leads to one by a redirect."""
    return facts.get("type") == "directory" or str(facts.get("url", "")).endswith("/")


def _modified_ns(facts: Mapping[str, object]) -> int:
    return next((found for name in _TIMES if (found := _nanoseconds(facts.get(name)))), 0)


def _nanoseconds(value: object) -> int:
    """A time in nanoseconds since 1970; 0 for what is none. A time without zone is one of UTC."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(value * 1_000_000) * 1_000
    if isinstance(value, tuple):
        value = datetime(*value[:6])
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, datetime):
        return 0
    return round((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1_000_000) * 1_000


def _parsed(text: str) -> datetime | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def _etag(facts: Mapping[str, object]) -> str:
    return next((str(value).strip('"') for name in _ETAGS if (value := facts.get(name))), "")
