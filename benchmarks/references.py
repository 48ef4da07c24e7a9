"""Physical references: what this machine can do with the same bytes when nothing is in the way.

Each returns the seconds that its loop took; the caller knows how many samples and bytes there were.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import zstandard

READ_BYTES = 8 << 20


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def raw_read(files: Sequence[Path]) -> float:
    """Read all files sequentially, in large pieces."""
    buffer = bytearray(READ_BYTES)

    def work() -> None:
        for file in files:
            with file.open("rb", buffering=0) as opened:
                while opened.readinto(buffer):
                    pass

    return seconds(work)


def small_files(files: Sequence[Path]) -> float:
    """List the directory of some files, and describe, open, read and parse each of them."""
    directory = files[0].parent

    def work() -> None:
        with os.scandir(directory) as entries:
            for entry in entries:
                entry.stat()
                with Path(entry.path).open("rb", buffering=0) as opened:
                    for line in opened.read().splitlines():
                        orjson.loads(line)

    return seconds(work)


def _orjson_loop(files: Sequence[Path]) -> None:
    for file in files:
        with file.open("rb") as opened:
            for line in opened:
                orjson.loads(line)["text"]


def orjson_loop(files: Sequence[Path]) -> float:
    """The bare loop: parse every line of all files in one process, and take its text."""
    return seconds(lambda: _orjson_loop(files))


def orjson_loop_processes(files: Sequence[Path], processes: int = 2) -> float:
    """The same loop over the same files by several processes, their start included."""
    context = multiprocessing.get_context("fork")

    def work() -> None:
        workers = [context.Process(target=_orjson_loop, args=(files[i::processes],)) for i in range(processes)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return seconds(work)


def tar_read(files: Sequence[Path]) -> float:
    """Read all members of all tars, one after the other, with the standard library."""

    def work() -> None:
        for file in files:
            with tarfile.open(file) as tar:
                for member in tar:
                    opened = tar.extractfile(member)
                    if opened is not None:
                        opened.read()

    return seconds(work)


def zstd_orjson_loop(files: Sequence[Path]) -> float:
    """The bare loop over compressed files: `zstd -d` in this process, then as `orjson_loop`."""

    def work() -> None:
        for file in files:
            with file.open("rb") as packed:
                plain = zstandard.ZstdDecompressor().stream_reader(packed, read_size=1 << 20, read_across_frames=True)
                for line in io.BufferedReader(plain, 1 << 20):  # type: ignore[type-var]
                    orjson.loads(line)["text"]

    return seconds(work)


def parquet_column(files: Sequence[Path]) -> float:
    """Read the content column of all files with pyarrow."""

    def work() -> None:
        for file in files:
            pq.read_table(file, columns=["text"])

    return seconds(work)
