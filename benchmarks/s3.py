"""`python -m benchmarks.s3`: streams over S3 beside raw ranged reads of the client library, in one run.

The server is a real one, SeaweedFS, started as the tests start it. Two processes stream a plan, each as one of two
workers; two processes read the same objects in ranges with obstore, with several sizes of ranges and numbers of them in
flight, of which the best counts; and once more in ranges of the mean size of what the stream asked for. All take turns.
A rate is the bytes of the objects that were delivered, each record with its share of its object, per second between the
first process's beginning and the last one's end; a process begins when it is connected. Server and readers share the
processors of the machine; the objects are in the server's cache. The plan is streamed twice in each round: as it is,
and with `MIXTERA_SPOOL` set to a directory, empty before, that the two processes share.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import mixtera
from benchmarks.corpus import generate
from benchmarks.images import generate_images
from benchmarks.tokens import SEPARATOR, write_tokens
from mixtera.formats.temporary import SPOOL_VARIABLE
from tests.storage.weed import BUCKET, Weed

HERE: Final = Path(__file__).parent
PROCESSES: Final = 2
BATCH: Final = 32
MEGABYTE: Final = 1_000_000
TOKENS: Final = 128_000_000
ROWS: Final = 256_000
TARS: Final = 8
IN_FLIGHT: Final = (4, 16)
RANGE_BYTES: Final = (1 << 20, 8 << 20)
RAW_BYTES: Final = 200 * MEGABYTE
"""What each process of raw reads asks for, about: enough to be measured."""

Figures = dict[str, float]


@dataclass(frozen=True)
class Collection:
    """A collection on the server: its name, files, and what a spec says of it."""

    name: str
    files: tuple[Path, ...]
    source: Mapping[str, object]
    natural: str


def collections(data: Path) -> list[Collection]:
    """What is streamed: each with objects of 8 MB and more."""
    corpus = generate(data, ROWS)
    tokens = data / f"tokens-{TOKENS}"
    if not tokens.exists():
        write_tokens(str(tokens), TOKENS)
    nested, flat = {"domain": "meta.domain"}, {"domain": "domain"}
    tars = {"content": {"image": "jpg"}, "properties": {"domain": "json.domain"}}
    ready = {"format": {"name": "tokens", "separator": SEPARATOR}, "content": "tokens"}
    return [
        Collection("jsonl", tuple(corpus.interleaved), {"content": "text", "properties": nested}, "domain"),
        Collection("parquet", tuple(corpus.parquet), {"content": "text", "properties": flat}, "domain"),
        Collection("tar", tuple(generate_images(data)[:TARS]), tars, "domain"),
        Collection("tokens", tuple(sorted(tokens.glob("*.u16"))), ready, "dataset"),
    ]


def upload(collection: Collection) -> None:
    """Write its objects, as bytes of no known type: the server compresses what it takes for text."""
    import obstore

    for file in collection.files:
        key = f"{collection.name}/{file.name}"
        obstore.put(_store(), key, file, attributes={"Content-Type": "binary/octet-stream"}, use_multipart=False)


def prepare(collection: Collection, work: Path, lanes: int) -> Path:
    """Index and compile it; the plan's directory."""
    pattern = f"s3://{BUCKET}/{collection.name}/*{collection.files[0].suffix}"
    spec = {
        "version": 1,
        "name": collection.name,
        "sources": {collection.name: {"path": pattern, **collection.source}},
        "mixture": {"by": collection.natural, "weights": "natural"},
        "order": {"seed": 7, "lanes": lanes, "granule": BATCH},
    }
    path, plan = work / f"{collection.name}.yaml", work / f"plan-{collection.name}"
    path.write_text(json.dumps(spec))
    with closing(mixtera.Catalog.open(str(work / "catalog"))) as catalog:
        loaded = mixtera.load(str(path))
        catalog.index(loaded, workers=1)
        mixtera.compile(loaded, catalog).save(str(plan))
    return plan


def stream(worker: int, plan: str, share: float) -> Figures:
    """One of the workers: what it delivered and what it asked for."""
    from mixtera.registry import storage_of
    from mixtera.stream import Stream
    from mixtera_backends.storage.s3 import S3Storage

    opened = mixtera.Plan.open(plan)
    storage = storage_of("s3://", ())
    assert isinstance(storage, S3Storage)
    batches = Stream(opened.data, opened.digest, batch_size=BATCH, worker=worker, workers=PROCESSES)
    storage.traffic  # noqa: B018 - makes the clients
    if str(url := opened.data.files.column("url")[0]).startswith("s3://"):
        storage.random_access(str(url)).between(0, 1)  # connected, as who reads ranges is
    begin, used = _ready(), _processor_seconds()
    samples = 0
    for number, batch in enumerate(batches):
        samples += batch.num_rows
        if number >= share * len(opened) / BATCH / PROCESSES:
            break
    end = time.monotonic()
    batches.close()
    traffic = storage.traffic
    return {
        "begin": begin,
        "end": end,
        "cpu": _processor_seconds() - used,
        "share": samples / len(opened),
        "requests": traffic.requests,
        "read": traffic.read_bytes,
    }


def raw(worker: int, keys: Sequence[str], sizes: Sequence[int], range_bytes: int, in_flight: int) -> Figures:
    """One of the readers of ranges: every second object, many ranges at a time, until it is enough."""
    import obstore

    store = _store()
    ranges = [
        (key, start, min(start + range_bytes, size))
        for key, size in zip(keys, sizes, strict=True)
        for start in range(0, size, range_bytes)
    ][worker::PROCESSES]
    per_pass = sum(stop - start for _, start, stop in ranges)
    ranges *= max(1, int(RAW_BYTES / per_pass))

    def one(asked: tuple[str, int, int]) -> int:
        return len(obstore.get_range(store, asked[0], start=asked[1], end=asked[2]))

    with ThreadPoolExecutor(in_flight) as threads:
        one(ranges[0])
        begin, used = _ready(), _processor_seconds()
        read = sum(threads.map(one, ranges))
    end = time.monotonic()
    return {"begin": begin, "end": end, "cpu": _processor_seconds() - used, "read": read, "requests": len(ranges)}


def _store() -> Any:
    from obstore.store import S3Store

    return S3Store(
        BUCKET,
        endpoint=os.environ["AWS_ENDPOINT_URL"],
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _ready() -> float:
    """Say so, wait for the others, and begin."""
    print("ready", flush=True)
    sys.stdin.readline()
    return time.monotonic()


def together(function: str, arguments: Mapping[str, object], spool: str | None = None) -> list[Figures]:
    """Run a function in all processes at once, which may share a spool."""
    command = [sys.executable, "-m", "benchmarks.s3", "--run", function, json.dumps(dict(arguments))]
    environment = {name: value for name, value in os.environ.items() if name != SPOOL_VARIABLE}
    environment |= {} if spool is None else {SPOOL_VARIABLE: spool}
    started = [
        subprocess.Popen(
            [*command, str(worker)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for worker in range(PROCESSES)
    ]
    for process in started:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"{function} failed")
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [json.loads(process.communicate()[0]) for process in started]
    if any(process.returncode for process in started):
        raise SystemExit(f"{function} failed")
    return found


def _seconds(found: Sequence[Figures]) -> float:
    return max(one["end"] for one in found) - min(one["begin"] for one in found)


def _sum(found: Sequence[Figures], name: str) -> float:
    return sum(one[name] for one in found)


def measure(collection: Collection, plan: Path, rounds: int, share: float, local: Path | None) -> dict[str, object]:
    """The best rates of some rounds, in turns, and the requests of the last."""
    sizes = [file.stat().st_size for file in collection.files]
    total = sum(sizes)
    keys = [f"{collection.name}/{file.name}" for file in collection.files]
    raw_cpu = []
    theirs: dict[str, float] = {}
    streams: dict[str, list[list[Figures]]] = {"": [], "shared ": []} | ({} if local is None else {"local ": []})
    for _ in range(rounds):
        for in_flight in IN_FLIGHT:
            for range_bytes in RANGE_BYTES:
                arguments = {"keys": keys, "sizes": sizes, "range_bytes": range_bytes, "in_flight": in_flight}
                read = together("raw", arguments)
                label = f"{range_bytes >> 20} MiB x {in_flight}"
                raw_cpu.append(_sum(read, "cpu") / _sum(read, "read"))
                theirs[label] = max(theirs.get(label, 0), _sum(read, "read") / _seconds(read) / MEGABYTE)
        for name, found in streams.items():
            there = str(local if name == "local " else plan)
            with tempfile.TemporaryDirectory() as spool:
                arguments = {"plan": there, "share": share}
                found.append(together("stream", arguments, spool if name == "shared " else None))
    best = max(theirs, key=lambda label: theirs[label])
    result: dict[str, object] = {
        "collection": collection.name,
        "raw MB/s": round(theirs[best]),
        "raw with": best,
        "raw processor ms per MB": round(min(raw_cpu) * MEGABYTE * 1000, 1),
    }
    for name, found in streams.items():
        delivered = _sum(found[-1], "share") * total / MEGABYTE
        rate = max(delivered / _seconds(one) for one in found)
        result[f"{name}stream MB/s"] = round(rate)
        result[f"{name}processor ms per MB"] = round(min(_sum(one, "cpu") for one in found) / delivered * 1000, 1)
        if name == "local ":
            continue
        requests, fetched = _sum(found[-1], "requests"), _sum(found[-1], "read")
        alike = [_raw_rate(keys, sizes, max(4096, int(fetched / requests)), max(IN_FLIGHT)) for _ in range(rounds)]
        result[f"{name}ratio to raw"] = round(rate / theirs[best], 2)
        result[f"{name}ratio to raw in such requests"] = round(rate / max(alike), 2)
        result[f"{name}requests per MB"] = round(requests / delivered, 2)
        result[f"{name}amplification"] = round(fetched / delivered / MEGABYTE, 2)
    return result


def _raw_rate(keys: Sequence[str], sizes: Sequence[int], range_bytes: int, in_flight: int) -> float:
    """Megabytes per second of raw reads."""
    arguments = {"keys": keys, "sizes": sizes, "range_bytes": range_bytes, "in_flight": in_flight}
    read = together("raw", arguments)
    return _sum(read, "read") / _seconds(read) / MEGABYTE


def _local_plan(collection: Collection, plan: Path, work: Path) -> Path:
    """The same plan over the files on disk."""
    target = work / f"plan-{collection.name}-local"
    folder = collection.files[0].parent.resolve()
    remap = {f"s3://{BUCKET}/{collection.name}/": f"{folder}/"}
    opened = mixtera.Plan.open(str(plan), remap=remap)
    opened.save(str(target))
    return target


def main() -> None:
    """Run all, or, in a process of its own, one function."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.s3", description=__doc__)
    parser.add_argument("collections", nargs="*", help="jsonl, parquet, tar, tokens; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the plan that is streamed")
    parser.add_argument("--lanes", type=int, default=PROCESSES)
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        function, arguments, worker = options.run
        found = {"stream": stream, "raw": raw}[function](int(worker), **json.loads(arguments))
        print(json.dumps(found), flush=True)
        return
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        server = Weed(work)
        server.start()
        os.environ.update(server.environment)
        try:
            for collection in collections(HERE / "data"):
                if options.collections and collection.name not in options.collections:
                    continue
                upload(collection)
                plan = prepare(collection, work, options.lanes)
                result = measure(collection, plan, options.rounds, options.share, _local_plan(collection, plan, work))
                print(json.dumps(result), flush=True)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
