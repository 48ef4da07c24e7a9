"""What is measured of the compiler against size, each in a process of its own (`benchmarks.measure`)."""

from __future__ import annotations

import resource
import time
from pathlib import Path


def labels(spec: str, catalog: str) -> dict[str, float]:
    """The reference: the engine's answers for all sources, taken and dropped."""
    from mixtera.catalog import Catalog
    from mixtera.compiler import queries
    from mixtera.compiler.lower import lower
    from mixtera.compiler.pipeline import optimised, session
    from mixtera.spec import load

    begin = time.perf_counter()
    plans = optimised(queries._plans(load(spec), Catalog.open(catalog, create=False)))
    rows = 0
    with session("duckdb", plans) as engine:
        for plan in plans:
            for batch in engine.batches(lower(plan.plan)):
                rows += batch.num_rows
    return _used(begin) | {"rows": rows}


def compile(
    spec: str, catalog: str, plan: str, reuse: bool = False, max_memory: int | None = None
) -> dict[str, float | str]:
    """What `mixtera compile` does."""
    from mixtera.catalog import Catalog
    from mixtera.compiler import compile
    from mixtera.spec import load

    begin = time.perf_counter()
    compiled = compile(load(spec), Catalog.open(catalog, create=False), reuse=reuse, max_memory=max_memory)
    size = compiled.save(plan)
    steps = {f"{name}_seconds": seconds for name, seconds in compiled.data.facts["seconds"].items()}
    return _used(begin) | {"bytes": size, **steps, "asked": compiled.data.facts["asked"], "digest": compiled.digest}


def _used(begin: float) -> dict[str, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": peak_bytes(),
    }


def peak_bytes() -> int:
    """The most memory that this process has held; `ru_maxrss` begins with what its parent held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
