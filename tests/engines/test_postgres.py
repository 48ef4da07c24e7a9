"""PostgreSQL keeps the laws of an engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mixtera.testing.engine import EngineLaws
from mixtera_backends.engines.postgres import URL, PostgresEngine
from tests.engines.server import Postgres


@pytest.fixture(scope="module", autouse=True)
def _server(postgres: Postgres) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(URL, postgres.url)
        yield


class TestPostgres(EngineLaws):
    def engine(self) -> PostgresEngine:
        return PostgresEngine()
