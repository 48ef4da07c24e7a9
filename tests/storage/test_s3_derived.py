"""Computed properties over content on S3, and sidecars that lie there."""

import gzip
import io
import json
import re
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mixtera
from tests.storage.objects import new_root
from tests.storage.test_s3_end_to_end import Place

SPEC = """version: 1
name: derived
sources:
  web:
    path: {root}/data/*.jsonl.gz
    content: text
    properties: {{id: id{computed}}}
    sidecars: [{{path: {root}/scores-*.parquet, on: id, properties: {{quality: score}}}}]
mixture: {{by: dataset, weights: natural}}
"""
COMPUTED = ', size: {compute: "sizes:size", columns: text, type: int64}'
MODULE = "import pyarrow.compute as pc\ndef size(batch):\n    return pc.utf8_length(batch.column(0)).cast('int64')\n"


def parquet(ids: range) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": ids, "score": [number / 2 for number in ids]}), sink)
    return sink.getvalue()


@pytest.fixture
def place(weed, objects, tmp_path):
    made = Place(tmp_path, weed, new_root())
    for number in range(3):
        lines = "".join(
            json.dumps({"text": "x" * (i % 50), "id": i}) + "\n" for i in range(100 * number, 100 * number + 100)
        )
        objects.put(f"{made.root}/data/{number}.jsonl.gz", gzip.compress(lines.encode()))
        objects.put(f"{made.root}/scores-{number}.parquet", parquet(range(100 * number, 100 * number + 80)))
    (tmp_path / "sizes.py").write_text(MODULE)
    (tmp_path / "plain.yaml").write_text(SPEC.format(root=made.root, computed=""))
    (tmp_path / "computed.yaml").write_text(SPEC.format(root=made.root, computed=COMPUTED))
    return made


def test_content_and_sidecars_are_read_from_s3(place, objects):
    said = place.run("index", "plain.yaml", "--workers", "2").stdout
    assert re.search(r"web: 60 of 300 samples are not in the sidecar s3://.*/scores-\*.parquet\n", said)
    assert "size added for 3 files" in place.run("index", "computed.yaml", "--workers", "2").stdout
    found = json.loads(place.run("catalog", "query", "web", "id >= 0", "--limit", "300", "--json").stdout)["rows"]
    assert [row["size"] for row in found] == [row["id"] % 50 for row in found]
    assert [row["quality"] for row in found] == [row["id"] / 2 if row["id"] % 100 < 80 else None for row in found]
    assert "added" not in place.run("index", "computed.yaml").stdout
    objects.put(f"{place.root}/scores-2.parquet", parquet(range(200, 300)))
    said = place.run("index", "computed.yaml").stdout
    assert "web: quality added for 3 files" in said
    assert "web: 40 of 300 samples are not in" in said


def test_functions_and_sidecars_find_the_server_that_the_spec_names(place, s3, tmp_path, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    for name in ("plain", "computed"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(path.read_text() + f"storage: {{s3: {{endpoint_url: '{s3.url}', region: us-east-1}}}}\n")
    with closing(mixtera.Catalog.open(str(tmp_path / "catalog"))) as catalog:
        for workers in (1, 2):
            catalog.index(mixtera.load(str(tmp_path / "plain.yaml")), workers=workers)
            (report,) = catalog.index(mixtera.load(str(tmp_path / "computed.yaml")), workers=workers).sources
            assert (report.changed, report.columns) == (0, ("size",))
            (found,) = catalog.verify(mixtera.load(str(tmp_path / "computed.yaml")), workers=workers)
            assert (found.samples, found.differences) == (300, ())
