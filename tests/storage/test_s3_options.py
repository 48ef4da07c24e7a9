"""Options of a spec, limits, and counts, against a real server."""

import json
import time
from contextlib import closing

import numpy as np
import pytest

import mixtera
from mixtera.errors import StorageError
from mixtera_backends.storage.s3 import S3Storage
from mixtera_backends.storage.s3.budget import Bucket
from tests.storage.corpus import write_both
from tests.storage.objects import new_root

DATA = np.random.default_rng(5).integers(0, 256, 1_000_000, np.uint8).tobytes()
STARTS = np.arange(0, 1_000_000, 250_000)


@pytest.fixture
def url(objects, proxy, monkeypatch):
    monkeypatch.setenv("MIXTERA_S3_CACHE_MB", "0")
    url = f"{new_root()}/a.bin"
    objects.put(url, DATA)
    return url


def test_a_spec_says_where_the_server_is_and_a_plan_keeps_it(objects, s3, tmp_path, monkeypatch):
    write_both(new_root(), objects, tmp_path)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    spec = tmp_path / "remote.yaml"
    spec.write_text(spec.read_text() + f"storage: {{s3: {{endpoint_url: '{s3.url}', region: us-east-1}}}}\n")
    with closing(mixtera.Catalog.open(str(tmp_path / "catalog"))) as catalog:
        loaded = mixtera.load(str(spec))
        catalog.index(loaded, workers=2)
        plan = mixtera.compile(loaded, catalog)
        plan.save(str(tmp_path / "plan"))
        spec.write_text(spec.read_text().replace(s3.url, "http://127.0.0.1:9"))
        assert mixtera.compile(mixtera.load(str(spec)), catalog).digest == plan.digest
    opened = mixtera.Plan.open(str(tmp_path / "plan"))
    assert sum(len(batch) for batch in opened.stream(batch_size=50)) == len(opened)
    document = json.loads((tmp_path / "plan" / "plan.json").read_text())
    assert document["body"]["facts"]["storage"] == {"s3": {"endpoint_url": s3.url, "region": "us-east-1"}}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://no-such-host.invalid")
    with pytest.raises(StorageError, match=r"no-such-host\.invalid"):
        next(opened.stream(batch_size=64))


def test_a_profile_of_the_spec_is_asked_for(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(StorageError, match=r"profile \(research\) could not be found"):
        S3Storage(options={"profile": "research"}).stat("s3://mix/a")


def test_anybody_may_read_when_the_spec_says_so(objects, proxy):
    url = f"{new_root()}/a.bin"
    objects.put(url, DATA)
    with pytest.raises(StorageError, match="access denied"):
        S3Storage(options={"anonymous": True}).stat(url)
    assert all("authorization" not in request.headers for request in proxy.requests)


@pytest.mark.parametrize("fast", [True, False])
def test_requests_are_of_the_size_that_is_asked_for(url, proxy, fast, monkeypatch):
    monkeypatch.setattr("mixtera_backends.storage.s3.clients.PROCESS.may_use_obstore", fast)
    storage = S3Storage(options={"request_bytes": 100_000})
    access = storage.random_access(url)
    proxy.requests.clear()
    assert access.gather(np.array([0]), np.array([1_000_000])).to_pylist() == [DATA]
    assert len(proxy.requests) == 10
    assert (storage.traffic.requests, storage.traffic.read_bytes) == (11, 1_000_000)  # one described it


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    "limit", [{"max_requests_per_second": 4.0}, {"max_bytes_per_second": 500_000}], ids=["requests", "bytes"]
)
def test_a_process_keeps_to_its_limits(url, fast, limit, monkeypatch):
    """Four requests of 250 kB, after one that describes the object: the burst of a second is free."""
    monkeypatch.setattr("mixtera_backends.storage.s3.clients.PROCESS.may_use_obstore", fast)
    access = S3Storage(options={**limit, "request_bytes": 250_000}).random_access(url)
    began = time.monotonic()
    for _ in range(2):
        assert access.gather(np.array([0]), np.array([1_000_000])).to_pylist() == [DATA]
    seconds = time.monotonic() - began
    assert seconds >= (1.0 if "max_requests_per_second" in limit else 2.7)  # waiting more proves nothing


def test_reads_that_are_tried_again_are_counted(url, proxy, monkeypatch):
    monkeypatch.setattr("mixtera_backends.storage.s3.clients.PROCESS.may_use_obstore", False)
    storage = S3Storage()
    access = storage.random_access(url)
    proxy.first(2, "cut")
    assert access.gather(STARTS, STARTS + 10).to_pylist() == [DATA[a : a + 10] for a in STARTS.tolist()]
    assert storage.traffic.retries == 2


def test_a_bucket_lets_through_its_rate_and_a_second_at_once():
    bucket = Bucket(50)
    began = time.monotonic()
    for _ in range(75):
        bucket.take(1)
    assert time.monotonic() - began >= 0.4
