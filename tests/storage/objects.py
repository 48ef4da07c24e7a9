"""Writing objects with a client that is not the code under test: s3fs."""

from __future__ import annotations

import uuid
from typing import Any

import s3fs

from tests.storage.weed import BUCKET, KEY, SECRET, Weed


def new_root() -> str:
    """A folder of the bucket that no other test has."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex[:12]}"


class Objects:
    """The server's objects."""

    def __init__(self, server: Weed) -> None:
        self.files: Any = s3fs.S3FileSystem(
            key=KEY, secret=SECRET, endpoint_url=server.url, use_listings_cache=False, skip_instance_cache=True
        )

    def put(self, url: str, data: bytes) -> None:
        self.files.pipe_file(url, data)

    def delete(self, url: str) -> None:
        self.files.rm_file(url)
