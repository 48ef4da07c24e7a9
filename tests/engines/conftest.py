"""One PostgreSQL for all tests of a process, started when the first asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.engines.server import Postgres, programs


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server. Only where no PostgreSQL is installed, the tests of it are skipped."""
    if programs() is None:
        pytest.skip("no PostgreSQL is installed here: neither `initdb` on PATH nor /usr/lib/postgresql")
    with TemporaryDirectory(prefix="mixtera-postgres-") as directory:  # pytest's own are for root's eyes only
        server = Postgres(Path(directory))
        try:
            server.start()
            yield server
        finally:
            server.stop()
