"""Measures the service on the loopback: `python -m benchmarks.service`. Everything in it is a process of its own.

Load comes from one other process, which shares the machine with the server: on few cores the server's own CPU seconds
say more than the times that clients wait.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pyarrow as pa
import urllib3

import mixtera
from mixtera.service.directory import create

RECORDS = 40_000
RECORD_BYTES = 2_000
SPEC = """\
version: 1
name: {name}
sources:
  data: {{path: data/*.jsonl, content: text, properties: {{kind: {{path: kind, type: string}}}}}}
mixture:
  components:
    - {{name: a, where: {{kind: a}}, weight: 3}}
    - {{name: b, where: {{kind: b}}, weight: 1}}
  on_exhaust: repeat
{more}
"""
DYNAMIC = "  dynamic: {algorithm: external, every: 1}\norder: {chunk_size: 64, lanes: 2}"
BARE = """
import sys
from pathlib import Path
import uvicorn
content = Path(sys.argv[1]).read_bytes()
async def app(scope, receive, send):
    if scope["type"] != "http": return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for at in range(0, len(content), 1 << 20):
        await send({"type": "http.response.body", "body": content[at:at + (1 << 20)], "more_body": True})
    await send({"type": "http.response.body", "body": b""})
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
Server(uvicorn.Config(app, port=0, loop="uvloop", http="httptools", lifespan="off", log_config=None)).run()
"""


def plan_of(root: Path, name: str, more: str) -> mixtera.Plan:
    (root / f"{name}.yaml").write_text(SPEC.format(name=name, more=more))
    spec = mixtera.load(str(root / f"{name}.yaml"))
    catalog = mixtera.Catalog.open(str(root / "catalog"))
    catalog.index(spec)
    plan = mixtera.compile(spec, catalog)
    plan.save(str(root / "plans" / name))
    return plan


def write_data(root: Path) -> None:
    (root / "data").mkdir()
    for part in range(4):
        with (root / "data" / f"{part}.jsonl").open("w") as file:
            for row in range(RECORDS // 4):
                record = {"text": "x" * RECORD_BYTES, "kind": "ab"[row % 2]}
                file.write(json.dumps(record) + "\n")


@contextmanager
def serving(root: Path, *options: str) -> Iterator[tuple[str, psutil.Process]]:
    words = [sys.executable, "-c", "import sys; from mixtera.cli.main import main; sys.exit(main())"]
    words += ["serve", "--jobs", str(root / "jobs"), "--audit", os.devnull, *options]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[0], psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


async def rank(port: int, number: int, period: float, seconds: float, waits: list[float], late: list[float]) -> None:
    """One simulated rank: a promise a period, each a round further."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    start = time.perf_counter() + 1 + period * np.random.default_rng(number).random()
    for turn in range(int(seconds / period)):
        await asyncio.sleep(max(0.0, start + turn * period - time.perf_counter()))
        late.append(time.perf_counter() - start - turn * period)
        body = json.dumps({"first": turn, "rounds": turn + 2}).encode()
        head = f"POST /v1/jobs/job-0/promise HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        begun = time.perf_counter()
        writer.write(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        waits.append(time.perf_counter() - begun)
    writer.close()


def load(port: int, server: psutil.Process, ranks: int, period: float, seconds: float) -> dict[str, float]:
    """Promises of many ranks: times in ms, and the cores that the server needs at this rate."""
    waits: list[float] = []
    late: list[float] = []

    async def run() -> None:
        await asyncio.gather(*(rank(port, number, period, seconds, waits, late) for number in range(ranks)))

    before = sum(server.cpu_times()[:2])
    asyncio.run(run())
    cores = (sum(server.cpu_times()[:2]) - before) / len(waits) * ranks / period
    p50, p99 = (float(np.quantile(waits, q)) * 1e3 for q in (0.5, 0.99))
    return {
        "promises": len(waits),
        "p50 ms": p50,
        "p99 ms": p99,
        "server cores": cores,
        "load late ms": max(late) * 1e3,
    }


def messages(url: str) -> dict[str, int]:
    """Bytes of a promise (asked and answered) at the beginning, and after a million rounds."""
    found = {}
    for name, first in (("at the beginning", 0), ("after a million rounds", 1_000_000)):
        body = json.dumps({"first": first, "rounds": first + 2})
        answer = urllib3.request(
            "POST", f"{url}/v1/jobs/job-1/promise", body=body, headers={"Content-Type": "application/json"}
        )
        found[name] = len(body) + len(answer.data)
    return found


def feedback(url: str) -> dict[str, float]:
    """Milliseconds until a report is durable; rounds until its weights hold; a checkpoint's milliseconds and bytes."""
    with mixtera.Job.attach(f"{url}/jobs/job-2") as job, job.stream(64) as stream:
        times, calls = [], []
        for step in range(300):
            next(stream)
            ones = dict.fromkeys(job.components, 1.0)
            begun = time.perf_counter()
            job.feedback(step, ones, ones, scalars={"weights": {"a": 1.0 + step % 7, "b": 1.0}})
            calls.append(time.perf_counter() - begun)
            job.flush()
            times.append(time.perf_counter() - begun)
        status = job.status()
        begun = time.perf_counter()
        state = job.checkpoint()
        checkpoint = time.perf_counter() - begun
        return {
            "report durable, p50 ms": float(np.median(times)) * 1e3,
            "training waits, p50 ms": float(np.median(calls)) * 1e3,
            "positions until weights hold": status["since"] - stream.position,
            "phases": status["changes"] * 2,
            "checkpoint ms": checkpoint * 1e3,
            "checkpoint bytes": len(msgspec.json.encode(state)),
        }


def restart(root: Path, jobs: int) -> dict[str, float]:
    """Seconds from the start of the process until it answers, and until every job has."""
    begun = time.perf_counter()
    with serving(root) as (url, _):
        ready = time.perf_counter() - begun
        with urllib3.PoolManager() as pool:
            for number in range(jobs):
                assert pool.request("GET", f"{url}/v1/jobs/job-{number}/attach").status == 200
        return {"first answer s": ready, f"all {jobs} jobs s": time.perf_counter() - begun}


def tunnelled(root: Path, url: str, server: psutil.Process, plan: mixtera.Plan, batches: int) -> dict[str, float]:
    """Batches through the service, the same bytes from a bare server, and a stream that reads here, in turns.

    MB/s, the best of three; and seconds of processor time per GB, of both ends together, which say what limits: on few
    cores, or busy ones, the reader, the service and the client share them.
    """
    file = root / "batches.arrow"
    with plan.stream(256) as stream:
        first = next(stream)
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, first.schema) as writer:
            writer.write_batch(first)
            for _ in range(batches - 1):
                writer.write_batch(next(stream))
    size = file.stat().st_size / 1e6
    bare = subprocess.Popen([sys.executable, "-c", BARE, str(file)], stdout=subprocess.PIPE, text=True)
    assert bare.stdout is not None
    port = int(bare.stdout.readline())

    def direct() -> None:
        with plan.stream(256) as stream:
            for _ in range(batches):
                next(stream)

    def from_bare() -> None:
        response = urllib3.request("GET", f"http://127.0.0.1:{port}/", preload_content=False)
        assert sum(1 for _ in pa.ipc.open_stream(response)) == batches

    def tunnel() -> None:
        with mixtera.Job.attach(f"{url}/jobs/static", reading="tunnel") as job, job.stream(256) as stream:
            for _ in range(batches):
                next(stream)

    ways = {"direct": (direct, None), "bare": (from_bare, psutil.Process(bare.pid)), "tunnel": (tunnel, server)}
    speed, cost = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, float("inf"))
    for _ in range(3):
        for name, (read, other) in ways.items():
            ends = [psutil.Process(), *([] if other is None else [other])]
            before, begun = sum(sum(end.cpu_times()[:2]) for end in ends), time.perf_counter()
            read()
            speed[name] = max(speed[name], size / (time.perf_counter() - begun))
            spent = sum(sum(end.cpu_times()[:2]) for end in ends) - before
            cost[name] = min(cost[name], spent / size * 1e3)
    bare.terminate()
    bare.wait()
    found = {f"{name} MB/s": one for name, one in speed.items()}
    found |= {f"{name} cpu s/GB": one for name, one in cost.items()}
    return found | {
        "tunnel / bare": speed["tunnel"] / speed["bare"],
        "tunnel / direct": speed["tunnel"] / speed["direct"],
        "(direct + bare) / tunnel, cpu": (cost["direct"] + cost["bare"]) / cost["tunnel"],
    }


def main() -> None:
    """Measure all of it and print it as JSON."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        write_data(root)
        follows, static = plan_of(root, "follows", DYNAMIC), plan_of(root, "static", "")
        for number in range(100):
            create(root / "jobs", f"job-{number}", str(follows.url))
        create(root / "jobs", "static", str(static.url))
        found: dict[str, object] = {}
        with serving(root, "--rate", "100000") as (url, server):
            port = int(url.rsplit(":", 1)[1])
            found["256 clients, 2 promises a second"] = load(port, server, 256, 0.5, 10)
            found["2,000 ranks, 1 promise a second"] = load(port, server, 2_000, 1.0, 10)
            found["bytes of a promise"] = messages(url)
            found["feedback and checkpoint"] = feedback(url)
            found["reading through it"] = tunnelled(root, url, server, static, 400)
        found["restart"] = restart(root, 100)
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
