"""What a stream asks of S3 is what `explain` says before."""

import io
import json
import tempfile
from contextlib import closing
from dataclasses import replace

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mixtera
from mixtera.adapters.torch import loader
from mixtera.explanation.build import report
from mixtera.registry import storage_of
from mixtera.stream import Stream
from mixtera.stream.traffic import Traffic
from tests.storage.objects import new_root

ROWS, FILES, TEXT_BYTES, DOMAINS = 18_000, 2, 900, 6
CHUNK = 8192


@pytest.fixture(scope="module", params=["jsonl", "parquet"])
def corpus(request, objects):
    """Large objects with the domains interleaved, of unequal sizes."""
    root, random = new_root(), np.random.default_rng(5)
    shares = 1 / np.arange(1, DOMAINS + 1)
    for number in range(FILES):
        domains = random.choice(DOMAINS, ROWS // FILES, p=shares / shares.sum()).tolist()
        texts = [random.bytes(TEXT_BYTES // 2).hex() for _ in domains]
        rows = [{"text": text, "domain": f"d{domain}"} for text, domain in zip(texts, domains, strict=True)]
        if request.param == "jsonl":
            content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        else:
            sink = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=1000, use_dictionary=["domain"])
            content = sink.getvalue()
        objects.put(f"{root}/part-{number}.{request.param}", content)
    return f"{root}/*.{request.param}"


@pytest.fixture
def plan(corpus, s3, tmp_path):
    source = {"path": corpus, "content": "text", "properties": {"domain": "domain"}}
    spec = {
        "version": 1,
        "name": "natural",
        "sources": {"web": source},
        "mixture": {"by": "domain", "weights": "natural"},
        "order": {"seed": 3, "lanes": 2, "granule": 32, "chunk_size": CHUNK},
    }
    (tmp_path / "natural.yaml").write_text(json.dumps(spec))
    with closing(mixtera.Catalog.open(str(tmp_path / "catalog"))) as catalog:
        loaded = mixtera.load(str(tmp_path / "natural.yaml"))
        catalog.index(loaded, workers=1)
        return mixtera.compile(loaded, catalog)


def streamed(plan, readers, machines, monkeypatch, tmp_path) -> Traffic:
    """What all readers ask for, each with clients and blocks of its own as in a process of its own.

    A machine is a temporary directory. Workers are those of one rank; where there are more machines, readers are ranks.
    """
    total, clients = Traffic(), []  # a process has its own until it ends
    for reader in range(readers):
        place = {"rank": reader, "world_size": readers} if machines > 1 else {"worker": reader, "workers": readers}
        monkeypatch.setenv("MIXTERA_S3_READER", f"{reader} of {readers}")
        here = tmp_path / f"machine-{reader * machines // readers}"
        here.mkdir(exist_ok=True)
        monkeypatch.setattr(tempfile, "tempdir", str(here))
        stream = Stream(plan.data, plan.digest, batch_size=32, **place)
        assert stream.traffic() == Traffic()
        assert sum(batch.num_rows for batch in stream) > 0
        clients.append(storage_of("s3://")._clients.get())
        total += stream.traffic()
    return total


@pytest.fixture(params=[False, True], ids=["by default", "in a directory"])
def shared(request, monkeypatch, tmp_path):
    """Whether the readers share a directory that stays."""
    if request.param:
        monkeypatch.setenv("MIXTERA_SPOOL", str(tmp_path))
    else:
        monkeypatch.delenv("MIXTERA_SPOOL", raising=False)
    return request.param


def cost(plan, readers, machines=1):
    found = report(plan.data, plan.digest, readers, machines=machines).cost
    (on_s3,) = [one for one in found if one.storage == "s3"]
    return on_s3


@pytest.mark.parametrize("readers", [1, 2])
def test_explain_says_before_what_the_stream_asks_for(shared, plan, readers, monkeypatch, tmp_path):
    said = cost(plan, readers)
    found = streamed(plan, readers, 1, monkeypatch, tmp_path)
    agree(said, found)
    assert found.amplification <= 1.1


def test_readers_of_several_machines_share_with_those_of_their_own(plan, monkeypatch, tmp_path):
    """Four ranks on two machines, of which those that started them told."""
    monkeypatch.delenv("MIXTERA_SPOOL", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    plan.data = replace(plan.data, order=replace(plan.data.order, lanes=4, chunk_size=CHUNK // 4))
    agree(cost(plan, 4, 2), streamed(plan, 4, 2, monkeypatch, tmp_path))


def test_readers_of_which_none_is_on_the_same_machine_share_nothing(plan, monkeypatch, tmp_path):
    monkeypatch.delenv("MIXTERA_SPOOL", raising=False)
    found = streamed(plan, 2, 2, monkeypatch, tmp_path)
    agree(cost(plan, 2, 2), found)
    assert found.amplification > cost(plan, 2).amplification


def test_workers_of_a_loader_fetch_nothing_twice(plan, proxy, monkeypatch, tmp_path):
    """As it is without any setting."""
    monkeypatch.delenv("MIXTERA_SPOOL", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    saved = tmp_path / "plan"
    plan.save(str(saved))
    proxy.requests.clear()
    batches = loader(str(saved), 32, num_workers=2)
    assert sum(len(batch["sample"]) for batch in batches) == ROWS // 32 * 32
    read = sum(_length(asked.range) for asked in proxy.requests if asked.range is not None)
    assert read <= 1.1 * sum(plan.data.files.column("size").to_pylist())


def _length(range_):
    first, last = range_.removeprefix("bytes=").split("-")
    return int(last) + 1 - int(first)


def agree(said, found):
    assert said.delivered_bytes == pytest.approx(found.delivered_bytes, rel=0.01)
    assert said.amplification == pytest.approx(found.amplification, rel=0.1)
    requests = said.requests / said.delivered_bytes
    assert requests == pytest.approx(found.requests / found.delivered_bytes, rel=0.1)


def test_explain_says_what_a_directory_that_stays_would_spare(plan, monkeypatch, tmp_path):
    monkeypatch.delenv("MIXTERA_SPOOL", raising=False)
    apart, together = cost(plan, 2, 2), cost(plan, 2)
    monkeypatch.setenv("MIXTERA_SPOOL", str(tmp_path))
    staying = cost(plan, 2)
    assert (together.requests, together.read_bytes) == (staying.requests, staying.read_bytes)
    assert (together.shared_requests, together.shared_read_bytes) == (staying.requests, staying.read_bytes)
    assert (staying.shared_requests, staying.shared_read_bytes) == (None, None)
    assert staying.read_bytes < apart.read_bytes


def test_large_chunks_spare_readers_what_others_read_too(plan):
    costs = []
    for chunk in (CHUNK // 4, CHUNK):
        data = replace(plan.data, order=replace(plan.data.order, chunk_size=chunk))
        found = report(data, plan.digest, 2, machines=2).cost
        costs += [cost.amplification for cost in found if cost.storage == "s3"]
    small, large = costs
    assert large < small


def test_storages_that_count_nothing_have_no_traffic(tmp_path):
    fsspec.filesystem("memory").pipe("/traffic/a.jsonl", b'{"text": "a"}\n' * 40)
    source = {"path": "memory://traffic/a.jsonl", "content": "text"}
    spec = {"version": 1, "name": "here", "sources": {"web": source}, "mixture": {"by": "dataset"}}
    (tmp_path / "here.yaml").write_text(json.dumps(spec))
    with closing(mixtera.Catalog.open(str(tmp_path / "catalog-here"))) as catalog:
        loaded = mixtera.load(str(tmp_path / "here.yaml"))
        catalog.index(loaded, workers=1)
        local = mixtera.compile(loaded, catalog)
    stream = local.stream(batch_size=8)
    assert sum(batch.num_rows for batch in stream) == 40
    assert stream.traffic() == Traffic()
    assert stream.traffic().amplification == 1.0
