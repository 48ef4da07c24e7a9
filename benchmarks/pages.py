"""`python -m benchmarks.pages`: what one rank of many fetches of a plan of a billion samples that lies at a URL.

Nothing is sent, and the long arrays need no disk: the plan lies in a directory of this machine behind fsspec, and any
page of an array is ones. Missing pages that are within 64 KiB are one request (on S3: 128 KiB).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks import billion
from benchmarks.table import size_text
from mixtera.artifact import pages, paging
from mixtera.artifact.layout import DOCUMENT
from mixtera.order.seats import Int64s
from mixtera.plan import Plan


class Asked:
    """A storage whose long arrays are all ones, and what is asked of it."""

    def __init__(self) -> None:
        self.requests = self.bytes = 0

        def gather(_: paging.FarArray, starts: Int64s, stops: Int64s) -> pa.LargeBinaryArray:
            self.requests += len(starts)
            self.bytes += int((stops - starts).sum())
            return pa.array([b"\1" * size for size in (stops - starts).tolist()], pa.large_binary())

        paging.FarArray.gather = gather  # type: ignore[method-assign]


def _sums(path: Path) -> pages.Pages:
    """Write the checksums of ones."""
    found: list[int] = []
    names = ("rows.u16", "starts.u32")
    for name in names:
        whole, rest = divmod((path / name).stat().st_size, pages.PAGE_BYTES)
        found += [zlib.crc32(b"\1" * pages.PAGE_BYTES)] * whole + [zlib.crc32(b"\1" * rest)] * (rest > 0)
    content = np.array(found, "<u4").tobytes()
    (path / pages.SUMS).write_bytes(content)
    return pages.Pages(pages.PAGE_BYTES, names, zlib.crc32(content))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000_000)
    parser.add_argument("--ranks", type=int, default=1_000)
    parser.add_argument("--components", type=int, default=8)
    parser.add_argument("--chunk-size", type=int, default=16_384)
    parser.add_argument("--page-bytes", type=int, default=pages.PAGE_BYTES)
    parser.add_argument("--chunks", type=int, default=16, help="chunks that the rank reads at most")
    arguments = parser.parse_args()
    pages.PAGE_BYTES = arguments.page_bytes  # type: ignore[misc]
    with tempfile.TemporaryDirectory(prefix="mixtera-pages-") as directory:
        os.environ["MIXTERA_CACHE"] = f"{directory}/cache"
        plan = Path(directory) / "plan"
        order = replace(billion.ORDER, lanes=arguments.ranks, chunk_size=arguments.chunk_size)
        billion.write(str(plan), arguments.samples, components=arguments.components, order=order, sums=_sums)
        _measure(f"local://{plan}", arguments.ranks, arguments.chunks)


def _measure(url: str, ranks: int, chunks: int) -> None:
    asked, begin = Asked(), time.perf_counter()
    opened = Plan.open(url)
    data, order = opened.data, opened.data.order
    print(f"open: {time.perf_counter() - begin:.2f} s, {asked.bytes} bytes of the long arrays")
    whole = data.rows.nbytes + data.starts.nbytes
    tables = sum(path.stat().st_size for path in opened.path.iterdir() if path.name not in pages.NAMES)
    print(
        f"long arrays: {size_text(whole)}; all else: {size_text(tables)}, of it {DOCUMENT} and checksums "
        f"{size_text(sum((opened.path / name).stat().st_size for name in (DOCUMENT, pages.SUMS)))}"
    )
    print("| chunks read | samples | share of the arrays | fetched | of the arrays | requests |")
    print("| --- | --- | --- | --- | --- | --- |")
    map_ = opened.pointers
    for number in range(chunks):
        for first in range(0, order.chunk_size // order.granule, 16):
            map_.lane(number, ranks // 3, first, first + 16)
        if (number + 1) & number == 0:
            samples = (number + 1) * order.chunk_size
            share = samples / len(data.rows) * whole
            print(
                f"| {number + 1} | {samples:,} | {share / 1e6:.2f} MB | {asked.bytes / 1e6:.1f} MB | "
                f"{asked.bytes / whole:.2%} | {asked.requests:,} |"
            )


if __name__ == "__main__":
    main()
