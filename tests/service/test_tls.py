"""TLS, and TLS of both sides: who is not vouched for does not come in, and is not tried for minutes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mixtera.errors import ServiceError
from mixtera.jobs import Job
from mixtera.plan import Plan
from tests.service.certificates import Authority
from tests.service.running import PATIENCE_SECONDS, Service, rows_of


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def mutual(authority: Authority, tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> Iterator[Service]:
    """A service that wants certificates of its clients."""
    pair = authority.pair("server")
    options = ["--tls-cert", pair.certificate, "--tls-key", pair.key, "--client-ca", authority.file]
    with Service(tmp_path_factory.mktemp("mutual"), *options).start() as running:
        running.create("run", plan)
        yield running


def test_both_sides_are_vouched_for(mutual: Service, authority: Authority) -> None:
    pair = authority.pair("client")
    assert mutual.url.startswith("https://")
    with mutual.attach("run", ca=authority.file, certificate=pair.certificate, key=pair.key) as job:
        with job.stream(8) as stream:
            assert len(rows_of(next(stream))) == 8
        assert job.status()["promised"] > 0


def refused(service: Service, match: str, **options: Any) -> None:
    begun = time.monotonic()
    with pytest.raises(ServiceError, match=match):
        service.attach("run", **{"patience": 2 * PATIENCE_SECONDS, **options})
    assert time.monotonic() - begun < PATIENCE_SECONDS, "that would not have become better"


def test_clients_that_nobody_vouches_for_are_refused(mutual: Service, authority: Authority, tmp_path: Path) -> None:
    expired, stranger = authority.pair("expired-client", days=-1), Authority(tmp_path, "stranger").pair("client")
    given: list[dict[str, Any]] = [{}, *({"certificate": p.certificate, "key": p.key} for p in (expired, stranger))]
    before = len(mutual.entries())
    for options in given:
        refused(mutual, "check `certificate` and `key`", ca=authority.file, patience=0.3, **options)
    assert len(mutual.entries()) == before, "their requests were never read"


def test_a_server_that_nobody_vouches_for_is_not_believed(mutual: Service, tmp_path: Path) -> None:
    refused(mutual, "CERTIFICATE_VERIFY_FAILED")
    refused(mutual, "CERTIFICATE_VERIFY_FAILED", ca=Authority(tmp_path, "stranger").file)


def test_a_server_with_an_expired_certificate_is_not_believed(authority: Authority, tmp_path: Path, plan: Plan) -> None:
    pair = authority.pair("expired-server", days=-1)
    options = ["--tls-cert", pair.certificate, "--tls-key", pair.key]
    with Service(tmp_path / "service", *options).start() as service:
        service.create("run", plan)
        refused(service, "certificate has expired", ca=authority.file)


def test_plain_words_to_a_service_with_tls_end_the_connection(mutual: Service) -> None:
    with pytest.raises(ServiceError, match="cannot be reached"):
        Job.attach(mutual.at("run").replace("https://", "http://"), patience=0.3)
