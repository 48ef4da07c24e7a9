"""One S3 server for all tests of a process, started when the first asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.storage.faulty import FaultyProxy
from tests.storage.objects import Objects
from tests.storage.weed import Weed


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    server = Weed(tmp_path_factory.mktemp("weed"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def objects(weed: Weed) -> Objects:
    """Writes objects of the server."""
    return Objects(weed)


@pytest.fixture(scope="session")
def objects_of() -> type[Objects]:
    """Writes objects of any server."""
    return Objects


@pytest.fixture
def s3(weed: Weed, monkeypatch: pytest.MonkeyPatch) -> Weed:
    """The server, and an environment that leads to it and to no other."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in weed.environment.items():
        monkeypatch.setenv(name, value)
    return weed


@pytest.fixture(params=["obstore", "botocore"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to read ranges."""
    if request.param == "botocore":
        monkeypatch.setattr("mixtera_backends.storage.s3.clients.PROCESS.may_use_obstore", False)
    return str(request.param)


@pytest.fixture
def proxy(s3: Weed, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """The environment leads to a proxy before the server."""
    with FaultyProxy(s3.port) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL", between.url)
        yield between
