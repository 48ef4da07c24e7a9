"""`make bench`: every figure beside a physical reference measured in the same run.

Each measurement is a process of its own. A figure and its reference take turns, and the best of several rounds of
each counts: what the machine can do, not what disturbed it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import figures, machine, table
from benchmarks.corpus import Corpus, generate, generate_synthetic, repeated, write_small_files
from benchmarks.images import SAMPLES as IMAGES
from benchmarks.images import generate_images
from benchmarks.processes import Task, run, run_watched, wall_seconds
from benchmarks.specs import write_images_spec, write_jsonl_spec, write_small_spec, write_specs, write_trees
from benchmarks.table import Row, rate_text, size_text
from benchmarks.token_rows import measure_tokens

HERE = Path(__file__).parent
SYNTHETIC_ROWS = 10_000_000
INDEXED_ROWS = 1_000_000
SMALL_FILES = 10_000
POINTERS = 4_000_000
ENOUGH_SECONDS = 40
"""A figure whose rounds have taken so long gets no more of them; the first is always run."""
POINTER_POSITIONS = 50
MEGABYTE = 1_000_000
NOTES = f"""Every figure is the best of its rounds, each in a fresh process, in turns with its reference; a figure
whose rounds have taken {ENOUGH_SECONDS} s gets no more of them. Files are in the page cache, and Python's modules are
compiled already, as where a package is installed. A million rows to index are, in a smaller corpus, its files several
times. The bare loop is `orjson.loads` on every line of the same files, and taking the text. Streams deliver as many
samples as the files hold, in global shuffle, from 8 components over 22 domains, in Arrow batches of
{figures.ARROW_BATCH}; the loader delivers batches of {figures.TORCH_BATCH} with the text as `str`, and its clock
starts at its first batch. Memory is the peak RSS of the process; with workers, the peak PSS of all its processes
together.
"""


class Bench:
    """The measurements of one run: corpora, specs and plans in a directory, and the rows found so far."""

    def __init__(self, work: Path, corpus: Corpus, synthetic: Path, rounds: int) -> None:
        self.work, self.corpus, self.rounds = work, corpus, rounds
        self.rows: list[Row] = []
        write_specs(work, corpus, synthetic)
        write_trees(work, synthetic, SYNTHETIC_ROWS)

    def spec(self, name: str) -> str:
        """Path of a spec."""
        return str(self.work / f"{name}.yaml")

    def plan(self, name: str) -> str:
        """Path of a prepared plan."""
        return str(self.work / f"plan-{name}")

    def catalog(self, name: str) -> str:
        """Path of a prepared catalog."""
        return str(self.work / f"catalog-{name}")

    def prepare(self, *names: str) -> None:
        """Index and compile specs, for the figures after."""
        for name in names:
            arguments = {"spec": self.spec(name), "catalog": self.catalog(name), "plan": self.plan(name)}
            run(Task("figures.prepare", arguments))

    def take_turns(self, *tasks: Task) -> list[dict[str, float]]:
        """Run the tasks in turns, for all rounds or long enough; of each, the result of its fastest round."""
        results: list[list[dict[str, float]]] = [[] for _ in tasks]
        begin = time.perf_counter()
        for _ in range(self.rounds):
            for task, found in zip(tasks, results, strict=True):
                found.append(run(task))
            if time.perf_counter() - begin > ENOUGH_SECONDS:
                break
        return [min(found, key=lambda result: result["seconds"]) for found in results]

    def compare(self, figure: str, ours: Task, reference: Task, named: str, asked: float | None) -> dict[str, float]:
        """Add the row of a rate beside the rate of its reference."""
        best, bare = self.take_turns(ours, reference)
        rate, bare_rate = best.get("samples", self.corpus.rows) / best["seconds"], self.corpus.rows / bare["seconds"]
        ratio = rate / bare_rate
        wanted = "" if asked is None else f"≥ {asked:.2f} ×"
        met = None if asked is None else ratio >= asked
        self.rows.append(Row(figure, rate_text(rate), f"{rate_text(bare_rate)} {named}", ratio, wanted, met))
        return best

    def absolute(self, figure: str, value: float, shown: str, limit: float, asked: str, reference: str = "") -> None:
        """Add the row of a figure that must stay below a limit."""
        self.rows.append(Row(figure, shown, reference, None, asked, value <= limit))


def _reference(name: str, files: Sequence[Path], **arguments: object) -> Task:
    return Task(f"references.{name}", {"files": [str(file) for file in files], **arguments})


def measure_index(bench: Bench) -> None:
    """Indexing JSONL over two processes, into a new catalog each time: what starting costs, and what a record does."""
    _measure_index(bench, bench.corpus.directory.resolve() / "interleaved", 1)
    if bench.corpus.rows < INDEXED_ROWS:
        times = INDEXED_ROWS // bench.corpus.rows
        _measure_index(bench, repeated(bench.corpus.interleaved, bench.work / "repeated", times), times)


def _measure_index(bench: Bench, directory: Path, times: int) -> None:
    files = sorted(directory.glob("*.jsonl"))
    spec = str(write_jsonl_spec(bench.work, directory))
    target = bench.work / "catalog-fresh"
    results = []
    for _ in range(bench.rounds):
        shutil.rmtree(target, ignore_errors=True)
        ours = run(Task("figures.index", {"spec": spec, "catalog": str(target)}))
        results.append((ours["seconds"], run(_reference("orjson_loop_processes", files))["seconds"]))
    seconds, bare = (min(column) for column in zip(*results, strict=True))
    rows = bench.corpus.rows * times
    rate, bare_rate = rows / seconds, rows / bare
    figure = f"index {rows:,} rows of JSONL, 3 properties, 2 processes"
    named = f"{rate_text(bare_rate)} bare loop, 2 processes"
    ratio = rate / bare_rate
    bench.rows.append(Row(figure, rate_text(rate), named, ratio, "≥ 0.80 ×", ratio >= 0.8))


def measure_small_files(bench: Bench) -> None:
    """Indexing many small files: how often each is asked for and opened, and the time beside a bare loop's."""
    directory = bench.work / "small"
    write_small_files(directory, SMALL_FILES)
    spec = str(write_small_spec(bench.work, directory))
    target = bench.work / "catalog-small"
    results = []
    for _ in range(bench.rounds):
        shutil.rmtree(target, ignore_errors=True)
        ours = run(Task("figures.index_small", {"spec": spec, "catalog": str(target)}))
        results.append((ours["seconds"], run(_reference("small_files", [directory / "00000.jsonl"]))["seconds"]))
    seconds, bare = (min(column) for column in zip(*results, strict=True))
    named = f"{bare:.2f} s to list, stat, open, read and parse them"
    figure = f"index {SMALL_FILES:,} files of a record each"
    bench.rows.append(Row(figure, f"{seconds:.2f} s", named, bare / seconds, "", None))
    shutil.rmtree(target)
    calls = run(Task("figures.index_calls", {"spec": spec, "catalog": str(target), "directory": str(directory)}))
    shown = f"{calls['asked']:.2f} stat, {calls['opened']:.2f} open"
    bench.absolute("… for each file", max(calls["asked"], calls["opened"]), shown, 1.0, "≤ 1 stat and 1 open")


def measure_compile(bench: Bench) -> None:
    """Compiling ten million rows of catalog."""
    arguments = {"spec": bench.spec("synthetic"), "catalog": bench.catalog("synthetic")}
    results = [run(Task("figures.compile", arguments)) for _ in range(bench.rounds)]
    seconds = min(result["seconds"] for result in results)
    peak = min(result["peak_bytes"] for result in results)
    bench.absolute("compile 10 M rows, 8 components, 22 domains", seconds, f"{seconds:.2f} s", 3.0, "≤ 3 s")
    bench.absolute("… its peak memory", peak, size_text(peak), 1000 * MEGABYTE, "≤ 1 GB")
    size = figures.plan_bytes(bench.plan("synthetic"))
    bench.rows.append(Row("… the plan on disk", size_text(size), "", None, "", None))


def measure_pointers(bench: Bench) -> None:
    """Positions to pointers, without reading anything."""
    plan = bench.plan("synthetic")
    (best,) = bench.take_turns(Task("figures.plan_only", {"plan": plan, "samples": POINTERS}))
    rate = best["samples"] / best["seconds"]
    bench.rows.append(Row("plan only: positions to pointers", rate_text(rate), "", None, "≥ 2 M/s", rate >= 2_000_000))
    positions = [int(SYNTHETIC_ROWS * share) for share in (0.0, 0.5, 0.9)]
    firsts = bench.take_turns(*(Task("figures.first_pointer", {"plan": plan, "position": p}) for p in positions))
    worst = max(first["seconds"] for first in firsts)
    bench.absolute(
        "first pointer after opening, worst of 3 positions", worst, f"{worst * 1000:.0f} ms", 0.05, "≤ 50 ms"
    )


def measure_trees(bench: Bench) -> None:
    """What mixtures over time cost: compiling one, and positions in one."""
    catalog = bench.catalog("synthetic")
    scheduled, flat = bench.take_turns(
        *(
            Task("figures.compile", {"spec": bench.spec(name), "catalog": catalog})
            for name in ("scheduled-200", "flat-200")
        )
    )
    ratio = scheduled["seconds"] / flat["seconds"]
    shown, reference = f"{scheduled['seconds']:.2f} s", f"{flat['seconds']:.2f} s flat and static"
    figure = "compile 10 M rows, 200 components, scheduled, nested, redistributing"
    bench.rows.append(Row(figure, shown, reference, ratio, "≤ 1.50 ×", ratio <= 1.5))
    run(Task("figures.prepare", {"spec": bench.spec("phases"), "catalog": catalog, "plan": bench.plan("phases")}))
    arguments = {"positions": POINTER_POSITIONS, "samples": figures.ARROW_BATCH, "last": SYNTHETIC_ROWS}
    phases, static = bench.take_turns(
        *(Task("figures.random_pointers", {"plan": bench.plan(name), **arguments}) for name in ("phases", "synthetic"))
    )
    ratio = static["seconds"] / phases["seconds"]
    each = (f"{found['seconds'] / POINTER_POSITIONS * 1000:.1f} ms" for found in (phases, static))
    shown, reference = f"{next(each)} each", f"{next(each)} static"
    figure = f"samples() of {figures.ARROW_BATCH} at random positions, 1,000 phases"
    bench.rows.append(Row(figure, shown, reference, ratio, "≥ 0.80 ×", ratio >= 0.8))


def measure_ledger(bench: Bench) -> None:
    """Documents of a step, and steps of a document; the plan is opened inside the clock."""
    catalog = bench.catalog("synthetic")
    run(Task("figures.prepare", {"spec": bench.spec("flat-200"), "catalog": catalog, "plan": bench.plan("flat-200")}))
    for name, label, part in (
        ("synthetic", "10 M samples", 0.7),
        ("phases", "the same, 1,000 phases", 0.7),
        ("flat-200", "the same, 200 components", 0.4),  # its stream ends in the middle of the rows
    ):
        plan, position = bench.plan(name), int(SYNTHETIC_ROWS * part)
        step, sample = bench.take_turns(
            Task("figures.ledger_of_step", {"plan": plan, "position": position}),
            Task("figures.ledger_of_sample", {"plan": plan, "position": position, "last": SYNTHETIC_ROWS}),
        )
        for what, found in (("open, documents of a step", step), ("open, steps of a document", sample)):
            seconds = found["seconds"]
            bench.absolute(f"{what}, {label}", seconds, f"{seconds * 1000:.0f} ms", 0.1, "≤ 100 ms")


def measure_streams(bench: Bench) -> None:
    """Arrow batches of one reader, and their memory."""
    rows = bench.corpus.rows
    lines = (
        ("interleaved", bench.corpus.interleaved, "domains interleaved"),
        ("interleaved-natural", bench.corpus.interleaved, "the same, 22 components of natural weight"),
        ("runs", bench.corpus.runs, "long runs of a domain"),
    )
    for name, files, label in lines:
        ours = Task("figures.stream", {"plan": bench.plan(name), "samples": rows})
        best = bench.compare(f"stream JSONL, {label}", ours, _reference("orjson_loop", files), "bare loop", 0.6)
        peak = best["peak_bytes"]
        if name == "interleaved":
            bench.absolute("… its peak memory", peak, size_text(peak), 150 * MEGABYTE, "≤ 150 MB")
    packed = (
        ("zst", bench.corpus.zst, "frames of 1 MiB", 0.5),
        ("zst-natural", bench.corpus.zst, "the same, 22 components of natural weight", 0.5),
        ("zst-whole", bench.corpus.zst_whole, "a file is one frame: through the spool", None),
    )
    for name, files, label, asked in packed:
        ours = Task("figures.stream", {"plan": bench.plan(name), "samples": rows})
        reference = _reference("zstd_orjson_loop", files)
        best = bench.compare(f"stream JSONL.zst, {label}", ours, reference, "zstd -d + bare loop", asked)
        if name != "zst-natural":
            peak = best["peak_bytes"]
            bench.absolute("… its peak memory", peak, size_text(peak), 150 * MEGABYTE, "≤ 150 MB")
    groups = (
        ("parquet", bench.corpus.parquet, "row groups of 1,000"),
        ("parquet-natural", bench.corpus.parquet, "the same, 22 components of natural weight"),
        ("parquet-large", bench.corpus.parquet_large, "row groups of 8,192"),
    )
    for name, files, label in groups:
        ours = Task("figures.stream", {"plan": bench.plan(name), "samples": rows})
        reference = _reference("parquet_column", files)
        bench.compare(f"stream Parquet, domains interleaved, {label}", ours, reference, "pq.read_table", 0.3)


def measure_images(bench: Bench) -> None:
    """Images out of tars, beside one pass over the same tars; samples per second, and the bytes behind them."""
    files = generate_images(HERE / "data")
    write_images_spec(bench.work, files[0].parent.resolve())
    bench.prepare("images")
    ours = Task("figures.stream_images", {"plan": bench.plan("images"), "samples": IMAGES})
    best, bare = bench.take_turns(ours, _reference("tar_read", files))
    rate, bare_rate = best["samples"] / best["seconds"], IMAGES / bare["seconds"]
    megabytes = best["bytes"] / best["samples"] / MEGABYTE
    shown, reference = f"{rate * megabytes:.0f} MB/s", f"{bare_rate * megabytes:.0f} MB/s sequential tarfile"
    ratio = rate / bare_rate
    figure = "stream WebDataset, images of 30 to 100 kB with captions"
    bench.rows.append(Row(figure, shown, reference, ratio, "≥ 0.80 ×", ratio >= 0.8))
    peak = best["peak_bytes"]
    bench.absolute("… its peak memory", peak, size_text(peak), 216 * MEGABYTE, "≤ 16 MB budget + 200 MB")


def measure_torch(bench: Bench) -> None:
    """The PyTorch loader, and its memory."""
    plan, bare = bench.plan("interleaved"), _reference("orjson_loop", bench.corpus.interleaved)
    for workers, asked in ((0, 0.30), (2, 0.22)):
        ours = Task("figures.torch_loader", {"plan": plan, "samples": bench.corpus.rows, "workers": workers})
        bench.compare(f"PyTorch loader, batch 32, {workers} workers", ours, bare, "bare loop", asked)
    peak = run_watched(ours)["peak_bytes"]
    bench.absolute("… peak memory with 2 workers", peak, size_text(peak), 350 * MEGABYTE, "≤ 350 MB")


def measure_start(bench: Bench) -> None:
    """How long it takes to start: the import, the program, the first batch."""
    python = sys.executable
    program = str(Path(python).with_name("mixtera"))
    rounds = range(max(5, bench.rounds))
    turns = [
        (
            run(Task("figures.first_batch", {"plan": bench.plan("interleaved")}))["wall_seconds"],
            wall_seconds([python, "-c", "pass"]),
            wall_seconds([python, "-c", "import mixtera"]),
            wall_seconds([program, "--help"]),
        )
        for _ in rounds
    ]
    first, bare, imported, shown = (min(column) for column in zip(*turns, strict=True))
    reference = f"{bare * 1000:.0f} ms bare interpreter"
    over = imported - bare
    bench.absolute("first batch, whole fresh process", first, f"{first * 1000:.0f} ms", 0.3, "≤ 300 ms", reference)
    bench.absolute("import mixtera, over the interpreter", over, f"{over * 1000:.0f} ms", 0.1, "≤ 100 ms", reference)
    bench.absolute("mixtera --help", shown, f"{shown * 1000:.0f} ms", 0.3, "≤ 300 ms", reference)


def measure_resume(bench: Bench) -> None:
    """Resuming early and late in a plan."""
    tasks = [
        Task("figures.resume", {"plan": bench.plan("interleaved"), "position": int(bench.corpus.rows * share)})
        for share in (0.0, 0.9)
    ]
    early, late = bench.take_turns(*tasks)
    ratio = late["seconds"] / early["seconds"]
    shown, reference = f"{late['seconds'] * 1000:.1f} ms at 90 %", f"{early['seconds'] * 1000:.1f} ms at 0"
    bench.rows.append(Row("load_state_dict + first batch", shown, reference, ratio, "the same", ratio <= 1.5))
    size = late["state_bytes"]
    bench.absolute("… size of the state", size, f"{size:.0f} bytes", 10_000, "≤ 10 KB")


def measure_disk(bench: Bench) -> None:
    """The speed of reading the files raw, for orientation."""
    files = bench.corpus.interleaved
    best, bare = bench.take_turns(_reference("raw_read", files), _reference("orjson_loop", files))
    size = sum(file.stat().st_size for file in files)
    shown, reference = f"{size / best['seconds'] / 1e6:.0f} MB/s", f"{size / bare['seconds'] / 1e6:.0f} MB/s bare loop"
    bench.rows.append(Row("(raw sequential read)", shown, reference, bare["seconds"] / best["seconds"], "", None))


def measure(work: Path, rows: int, rounds: int, only: str = "") -> list[Row]:
    """All figures, or those of the parts whose name has some letters in it."""
    corpus = generate(HERE / "data", rows)
    synthetic = generate_synthetic(HERE / "data", SYNTHETIC_ROWS)
    bench = Bench(work, corpus, synthetic, rounds)
    bench.prepare("interleaved", "runs", "parquet", "parquet-large", "synthetic")
    bench.prepare("interleaved-natural", "parquet-natural", "zst", "zst-natural", "zst-whole")
    for part in (
        measure_index,
        measure_small_files,
        measure_compile,
        measure_pointers,
        measure_trees,
        measure_ledger,
        measure_streams,
        measure_images,
        measure_tokens,
        measure_torch,
        measure_start,
        measure_resume,
        measure_disk,
    ):
        if only not in part.__name__:
            continue
        begin = time.perf_counter()
        part(bench)
        print(f"{part.__name__}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return bench.rows


def main() -> None:
    """Measure, print the table, and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="1 M records instead of 200,000")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of every measurement (default 3)")
    parser.add_argument("--only", default="", metavar="PART", help="parts with this in their name; writes no page")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md", help="where the page is written")
    arguments = parser.parse_args()
    rows = 1_000_000 if arguments.full else 200_000
    with tempfile.TemporaryDirectory(prefix="mixtera-bench-") as work:
        found = measure(Path(work), rows, arguments.rounds, arguments.only)
    facts = {**machine.describe(), "corpus": f"{rows:,} records of about 850 bytes, 22 domains"}
    command = f"python -m benchmarks.run --rounds {arguments.rounds}{' --full' if arguments.full else ''}"
    if not arguments.only:
        arguments.output.write_text(table.markdown(found, facts, command, NOTES), encoding="utf-8")
    if arguments.json:
        print(json.dumps(table.as_json(found, facts), indent=2))
    else:
        table.show(found)


if __name__ == "__main__":
    main()
