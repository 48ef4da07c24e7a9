"""What a stream reads of local files is what `explain` says before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

import mixtera
from mixtera.explanation.build import report
from mixtera.stream import Stream
from mixtera.stream.traffic import Traffic

ROWS, DOMAINS = 9000, 6


@pytest.fixture(params=["jsonl", "jsonl.zst", "parquet"])
def plan(request: pytest.FixtureRequest, tmp_path: Path) -> mixtera.Plan:
    """Interleaved domains of unequal sizes, in two files."""
    random = np.random.default_rng(5)
    shares = 1 / np.arange(1, DOMAINS + 1)
    for number in range(2):
        domains = random.choice(DOMAINS, ROWS, p=shares / shares.sum()).tolist()
        rows = [{"text": random.bytes(450).hex(), "domain": f"d{domain}"} for domain in domains]
        path = tmp_path / f"{number}.{request.param}"
        if request.param != "parquet":
            lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
            path.write_bytes(zstandard.compress(lines) if request.param == "jsonl.zst" else lines)
        else:
            pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=1000, use_dictionary=["domain"])
    spec = {
        "version": 1,
        "name": "here",
        "sources": {
            "web": {"path": f"{tmp_path}/*.{request.param}", "content": "text", "properties": {"domain": "domain"}}
        },
        "mixture": {"by": "domain", "weights": "natural"},
        "order": {"seed": 3, "lanes": 2, "granule": 32, "chunk_size": 8192},
    }
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    loaded = mixtera.load(str(tmp_path / "spec.yaml"))
    catalog.index(loaded, workers=1)
    return mixtera.compile(loaded, catalog)


@pytest.mark.parametrize("readers", [1, 2])
def test_explain_says_before_what_the_stream_reads(plan: mixtera.Plan, readers: int) -> None:
    (said,) = [cost for cost in report(plan.data, plan.digest, readers).cost if cost.storage == "local"]
    found = Traffic()
    for reader in range(readers):
        stream = Stream(plan.data, plan.digest, batch_size=32, worker=reader, workers=readers)
        assert stream.traffic() == Traffic()
        assert sum(batch.num_rows for batch in stream) > 0
        found += stream.traffic()
    assert found.delivered_bytes == pytest.approx(said.delivered_bytes, rel=0.01)  # as they lie in their files
    if plan.data.files.column("url")[0].as_py().endswith(".zst"):
        return  # each reader decompresses it once, whatever it reads of that
    assert found.amplification == pytest.approx(said.amplification, rel=0.1)
    if plan.data.sources[0].format == "jsonl":  # a row group is read in more calls than its bytes need
        assert found.requests == pytest.approx(said.requests, rel=0.1)
