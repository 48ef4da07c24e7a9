"""`python -m benchmarks.memory`: the peak memory of streams, as `/usr/bin/time -v` has it.

Each stream runs in a process of its own, from the beginning of a plan to its end, over more data than its bound: what
it is asked for is its budget of bytes and 200 MB, in which Python, numpy and pyarrow count too. The same plans are
streamed from local files, from S3, and from S3 with `MIXTERA_SPOOL` set.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.corpus import generate
from benchmarks.images import generate_images
from benchmarks.s3 import HERE, MEGABYTE, Collection, _local_plan, prepare, upload
from mixtera.formats.temporary import SPOOL_VARIABLE
from tests.storage.weed import Weed

TIME: Final = "/usr/bin/time"
ALLOWED_BYTES: Final = 200 * MEGABYTE
BUDGETS: Final = (16 << 20, 64 << 20)
ROWS: Final = 500_000
STREAM: Final = """
import sys
import pyarrow.compute as pc
from mixtera import Plan
from mixtera.stream import Stream
plan = Plan.open(sys.argv[1])
batches = Stream(plan.data, plan.digest, batch_size=256, budget_bytes=int(sys.argv[2]))
print(sum(pc.sum(pc.binary_length(batch.column(0))).as_py() for batch in batches))
"""
"""A process that imports what a trainer imports, and nothing of the benchmarks."""
_PEAK: Final = re.compile(r"Maximum resident set size \(kbytes\): (\d+)")


def collections(rows: int) -> Iterator[Collection]:
    """What is streamed: records of lines, compressed or not, and in columns."""
    corpus = generate(HERE / "data", rows)
    nested, flat = {"domain": "meta.domain"}, {"domain": "domain"}
    for name, files, properties in (
        ("jsonl", corpus.interleaved, nested),
        ("zst", corpus.zst, nested),
        ("parquet", corpus.parquet, flat),
        ("parquet-large", corpus.parquet_large, flat),
    ):
        source = {"format": name.partition("-")[0].replace("zst", "jsonl"), "content": "text", "properties": properties}
        yield Collection(name, tuple(files), source, "domain")
    tars = {"content": {"image": "jpg"}, "properties": {"domain": "json.domain"}}
    yield Collection("tar", tuple(generate_images(HERE / "data")), tars, "domain")


def peak(plan: Path, budget: int, spool: str | None = None) -> tuple[int, int]:
    """Peak memory of a stream, and bytes that it delivered.

    Raises:
        SystemExit: It failed.
    """
    words = [TIME, "-v", sys.executable, "-c", STREAM, str(plan), str(budget)]
    environment = {**os.environ, **({} if spool is None else {SPOOL_VARIABLE: spool})}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    found = _PEAK.search(done.stderr)
    if done.returncode or found is None:
        raise SystemExit(done.stderr)
    return int(found[1]) * 1024, int(done.stdout)


def measure(name: str, plan: Path, spool: str | None = None) -> bool:
    """Print the peaks of all budgets; whether all are within bounds."""
    met = True
    for budget in BUDGETS:
        used, delivered = peak(plan, budget, spool)
        bound = budget + ALLOWED_BYTES
        result = {
            "stream": name,
            "budget MB": round(budget / MEGABYTE),
            "delivered MB": round(delivered / MEGABYTE),
            "peak MB": round(used / MEGABYTE),
            "bound MB": round(bound / MEGABYTE),
            "met": used <= bound,
        }
        print(json.dumps(result), flush=True)
        met = met and used <= bound
    return met


def main() -> int:
    """Run all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("collections", nargs="*", help="jsonl, zst, parquet, parquet-large, tar; all by default")
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args()
    met = True
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        server = Weed(work)
        server.start()
        os.environ.update(server.environment)
        try:
            for collection in collections(options.rows):
                if options.collections and collection.name not in options.collections:
                    continue
                upload(collection)
                remote = prepare(collection, work, 1)
                met &= measure(f"{collection.name}, local", _local_plan(collection, remote, work))
                met &= measure(f"{collection.name}, S3", remote)
                with tempfile.TemporaryDirectory() as spool:
                    met &= measure(f"{collection.name}, S3, shared", remote, spool)
        finally:
            server.kill()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
