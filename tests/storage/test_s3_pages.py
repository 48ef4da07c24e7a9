"""Long arrays of a plan on S3 come in ranges: which, how many, and what happens when the server fails."""

from __future__ import annotations

import numpy as np
import pytest

from mixtera.artifact.model import OrderParameters
from mixtera.artifact.pages import PAGE_BYTES, PagedArray
from mixtera.artifact.pointers import PointerMap
from mixtera.errors import StorageError
from mixtera.explanation import simulation
from mixtera.explanation.build import report
from mixtera.plan import Plan
from tests.storage.objects import new_root
from tests.synthetic import plan_data

ROWS, LANES, CHUNK = 1_200_000, 2, 256


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    labels = [np.random.default_rng(file).integers(0, 2, ROWS // 2).astype(np.uint8) for file in range(2)]
    order = OrderParameters(7, "global", CHUNK, LANES, 16)
    data = plan_data(labels, [3.0, 1.0], order=order, segment_rows=1024)
    return Plan.of(data, tmp_path_factory.mktemp("long"))


@pytest.fixture(scope="module")
def url(local, objects):
    """Where it lies on S3: a copy of its directory."""
    url = f"{new_root()}/plan"
    for file in local.path.iterdir():
        objects.put(f"{url}/{file.name}", file.read_bytes())
    return url


@pytest.fixture
def far(url, proxy, tmp_path, monkeypatch):
    monkeypatch.setenv("MIXTERA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MIXTERA_PAGED_BYTES", str(PAGE_BYTES))
    return Plan.open(url)


def of_arrays(proxy):
    """Bytes of each range that was asked of a long array."""
    found = []
    for request in proxy.requests:
        if request.method == "GET" and request.path.partition("?")[0].endswith(("rows.u16", "starts.u32")):
            first, last = request.range.removeprefix("bytes=").split("-")
            found.append(int(last) + 1 - int(first))
    return found


def lane(plan, number):
    found = PointerMap(plan.data).lane(0, number, 0, CHUNK // 16)
    return np.stack([found.position, found.sample, found.start, found.stop])


def test_a_rank_asks_for_its_share_in_ranges(local, far, proxy):
    assert isinstance(far.data.rows, PagedArray)
    assert of_arrays(proxy) == []
    np.testing.assert_array_equal(lane(far, 1), lane(local, 1))
    asked = of_arrays(proxy)
    assert 0 < sum(asked) < (far.data.rows.nbytes + far.data.starts.nbytes) / 4
    assert len(asked) <= 32
    lane(Plan.open(far.url), 1)  # what is here is not asked for again
    assert of_arrays(proxy) == asked


def test_explain_asks_for_the_part_that_it_looks_at(local, far, proxy, monkeypatch):
    monkeypatch.setattr(simulation, "POSITIONS", CHUNK)
    assert report(far.data, far.digest, 1) == report(local.data, local.digest, 1)
    assert 0 < sum(of_arrays(proxy)) < (far.data.rows.nbytes + far.data.starts.nbytes) * 2 / 3


def test_a_connection_that_is_cut_in_mid_page_is_taken_up_again(local, far, proxy):
    proxy.first(1, "cut", only="GET")
    np.testing.assert_array_equal(far.data.rows[:50_000], local.data.rows[:50_000])
    assert len(proxy.met) == 1


def test_a_server_that_refuses_is_named_and_asked_again_later(local, far, proxy):
    proxy.choose = lambda request: "denied" if request.range else None
    with pytest.raises(StorageError, match=rf"{far.url}.*rows\.u16 cannot be read: access denied"):
        far.data.rows[:10]
    proxy.choose = lambda request: None
    np.testing.assert_array_equal(far.data.rows[:10], local.data.rows[:10])
