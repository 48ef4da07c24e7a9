"""What is measured of Mixtera; each function runs in a process of its own and returns numbers.

Only the public interface is used. Times are of the work itself; what a process costs to start is measured where the
figure says so.
"""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from random import Random

import mixtera
from mixtera.testing.calls import counted_calls

ARROW_BATCH = 256
TORCH_BATCH = 32
POINTER_PIECE = 1 << 17
GLOBAL_BATCH = 512


def peak_rss_bytes() -> int:
    """The peak of this program: `ru_maxrss` would begin with that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


def index(spec: str, catalog: str) -> dict[str, float]:
    """Index into a new catalog, with two processes."""
    loaded = mixtera.load(spec)
    begin = time.perf_counter()
    report = mixtera.Catalog.open(catalog).index(loaded, workers=2)
    return {"seconds": time.perf_counter() - begin, "samples": report.samples}


def index_small(spec: str, catalog: str) -> dict[str, float]:
    """Index many small files into a new catalog, with one process."""
    loaded = mixtera.load(spec)
    begin = time.perf_counter()
    report = mixtera.Catalog.open(catalog).index(loaded, workers=1)
    return {"seconds": time.perf_counter() - begin, "files": report.files}


def index_calls(spec: str, catalog: str, directory: str) -> dict[str, float]:
    """How often each file is looked up by name, and opened, while it is indexed."""
    loaded = mixtera.load(spec)
    with counted_calls(Path(directory)) as calls:
        report = mixtera.Catalog.open(catalog).index(loaded, workers=1)
    of_files = {key: count for key, count in calls.items() if key[1].endswith(".jsonl")}
    opened = sum(count for (call, _), count in of_files.items() if call == "open")
    return {"asked": (sum(of_files.values()) - opened) / report.files, "opened": opened / report.files}


def prepare(spec: str, catalog: str, plan: str) -> dict[str, float]:
    """Index, compile and save, for the figures after."""
    loaded = mixtera.load(spec)
    opened = mixtera.Catalog.open(catalog)
    opened.index(loaded, workers=2)
    mixtera.compile(loaded, opened).save(plan)
    return {}


def compile(spec: str, catalog: str) -> dict[str, float]:
    """Compile what the catalog holds; the seconds include everything up to the plan."""
    loaded = mixtera.load(spec)
    opened = mixtera.Catalog.open(catalog)
    begin = time.perf_counter()
    mixtera.compile(loaded, opened)
    return {"seconds": time.perf_counter() - begin, "peak_bytes": peak_rss_bytes()}


def plan_only(plan: str, samples: int) -> dict[str, float]:
    """Pointers of many positions, in pieces."""
    opened = mixtera.Plan.open(plan)
    begin = time.perf_counter()
    for start in range(0, samples, POINTER_PIECE):
        opened.samples(start, min(start + POINTER_PIECE, samples))
    return {"seconds": time.perf_counter() - begin, "samples": samples}


def first_pointer(plan: str, position: int) -> dict[str, float]:
    """The first pointer after opening a plan."""
    opened = mixtera.Plan.open(plan)
    begin = time.perf_counter()
    opened.samples(position, position + 1)
    return {"seconds": time.perf_counter() - begin}


def random_pointers(plan: str, positions: int, samples: int, last: int) -> dict[str, float]:
    """Pointers of some samples at random positions, in a plan that is open."""
    opened = mixtera.Plan.open(plan)
    opened.samples(0, 1)
    random = Random(7)
    starts = [random.randrange(last) for _ in range(positions)]
    begin = time.perf_counter()
    for start in starts:
        opened.samples(start, start + samples)
    return {"seconds": time.perf_counter() - begin, "samples": positions * samples}


def ledger_of_step(plan: str, position: int) -> dict[str, float]:
    """Open a plan, and name the documents of a global batch; libraries are loaded already."""
    mixtera.Plan.open(plan)
    begin = time.perf_counter()
    mixtera.Plan.open(plan).samples(position, position + GLOBAL_BATCH)
    return {"seconds": time.perf_counter() - begin}


def ledger_of_sample(plan: str, position: int, last: int) -> dict[str, float]:
    """Open a plan, and tell when a document is delivered; libraries are loaded already."""
    sample = mixtera.Plan.open(plan).samples(position, position + 1)["sample"][0].as_py()
    begin = time.perf_counter()
    found = mixtera.Plan.open(plan).locate(sample, stop=last)
    if position not in found:
        raise AssertionError(f"sample {sample} of position {position} was located at {found}")
    return {"seconds": time.perf_counter() - begin}


def stream(plan: str, samples: int) -> dict[str, float]:
    """Arrow batches of one reader."""
    opened = mixtera.Plan.open(plan)
    begin = time.perf_counter()
    rows = 0
    for batch in itertools.islice(opened.stream(batch_size=ARROW_BATCH), samples // ARROW_BATCH):
        rows += len(batch["text"])
    return {"seconds": time.perf_counter() - begin, "samples": rows, "peak_bytes": peak_rss_bytes()}


def stream_images(plan: str, samples: int) -> dict[str, float]:
    """Arrow batches of images with their captions and JSON, of one reader; the bytes are those of the content."""
    opened = mixtera.Plan.open(plan)
    begin = time.perf_counter()
    rows = size = 0
    for batch in itertools.islice(opened.stream(batch_size=TORCH_BATCH), samples // TORCH_BATCH):
        rows += len(batch["image"])
        size += sum(batch[name].nbytes for name in ("image", "caption", "about"))
    return {"seconds": time.perf_counter() - begin, "samples": rows, "bytes": size, "peak_bytes": peak_rss_bytes()}


def torch_loader(plan: str, samples: int, workers: int) -> dict[str, float]:
    """Text as Python strings and components through the PyTorch loader; the clock starts at the first batch."""
    from mixtera.adapters.torch import loader

    batches = iter(loader(mixtera.Plan.open(plan), batch_size=TORCH_BATCH, num_workers=workers))
    next(batches)
    rows = characters = 0
    begin = time.perf_counter()
    for batch in itertools.islice(batches, samples // TORCH_BATCH - 1):
        rows += len(batch["component"])
        characters += len(batch["text"][0])
    elapsed = time.perf_counter() - begin
    if not characters:
        raise AssertionError("the loader delivered no text")
    return {"seconds": elapsed, "samples": rows}


def first_batch(plan: str) -> dict[str, float]:
    """The first batch of a process; the caller looks at the clock when this returns."""
    batch = next(iter(mixtera.Plan.open(plan).stream(batch_size=TORCH_BATCH)))
    return {"samples": batch.num_rows}


def resume(plan: str, position: int, rounds: int = 5) -> dict[str, float]:
    """`load_state_dict` and the first batch, at a position."""
    opened = mixtera.Plan.open(plan)
    best = float("inf")
    state: dict[str, object] = {}
    for _ in range(rounds):
        first = opened.stream(batch_size=TORCH_BATCH, start=position)
        next(iter(first))
        state = first.state_dict()
        begin = time.perf_counter()
        again = opened.stream(batch_size=TORCH_BATCH)
        again.load_state_dict(state)
        next(iter(again))
        best = min(best, time.perf_counter() - begin)
    return {"seconds": best, "state_bytes": len(json.dumps(state))}


def plan_bytes(plan: str) -> int:
    """Size of a plan on disk."""
    return sum(path.stat().st_size for path in Path(plan).rglob("*") if path.is_file())
