"""One S3 server for all tests of a process, started when the first asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.storage.faulty import FaultyProxy
from tests.storage.weed import KEY, SECRET, Weed


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    server = Weed(tmp_path_factory.mktemp("weed"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def s3(weed: Weed, monkeypatch: pytest.MonkeyPatch) -> Weed:
    """The server, and an environment that leads to it and to no other."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", weed.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return weed


@pytest.fixture
def proxy(s3: Weed, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """The environment leads to a proxy before the server."""
    with FaultyProxy(s3.port) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL", between.url)
        yield between
