"""Writing objects with a client that is not the code under test: s3fs."""

from __future__ import annotations

import subprocess
import sys
import uuid
from typing import Any

import s3fs

from tests.storage.weed import BUCKET, KEY, SECRET, Weed

_PUT_MANY = """
import asyncio, os, sys, obstore
from obstore.store import S3Store
url, key, secret, bucket, data = sys.argv[1:]
store = S3Store(bucket, endpoint=url, region="us-east-1", access_key_id=key, secret_access_key=secret,
                virtual_hosted_style_request=False, client_options={"allow_http": True})
async def main():
    turn = asyncio.Semaphore(8)
    async def put(name):
        async with turn:
            await obstore.put_async(store, name, data.encode(), use_multipart=False)
    await asyncio.gather(*(put(name) for name in sys.stdin.read().split()))
asyncio.run(main())
os._exit(0)  # obstore's threads may abort a Python that takes itself down
"""


def new_root() -> str:
    """A folder of the bucket that no other test has."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex[:12]}"


class Objects:
    """The server's objects."""

    def __init__(self, server: Weed) -> None:
        self._url = server.url
        self.files: Any = s3fs.S3FileSystem(
            key=KEY, secret=SECRET, endpoint_url=server.url, use_listings_cache=False, skip_instance_cache=True
        )

    def put(self, url: str, data: bytes) -> None:
        self.files.pipe_file(url, data, ContentType="binary/octet-stream")

    def put_many(self, urls: list[str], data: bytes) -> None:
        """Write many small objects in a process of its own: s3fs is three times slower, and obstore spoils forks."""
        keys = [url.removeprefix(f"s3://{BUCKET}/") for url in urls]
        subprocess.run(
            [sys.executable, "-c", _PUT_MANY, self._url, KEY, SECRET, BUCKET, data.decode()],
            input="\n".join(keys),
            text=True,
            check=True,
            timeout=600,
        )

    def delete(self, url: str) -> None:
        self.files.rm_file(url)
