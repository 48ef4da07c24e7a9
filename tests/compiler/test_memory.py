"""`max_memory`: bounds the engine, and refuses what cannot fit, before or as soon as it is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import mixtera
from mixtera.cli.main import main
from mixtera.compiler.scratch import scratch
from mixtera.errors import EngineError, PlanError
from mixtera.mapped import fill, forget, steps
from mixtera.testing.catalog import MadeFile, MadeSource
from mixtera_backends.engines.duckdb import DuckDBEngine
from tests.compiler.made import catalog_of, spec_of

MEBI = 1 << 20
SOURCE = MadeSource("web", {"n": "int64"}, [MadeFile("a", 1, [{"n": row % 3} for row in range(3000)])])
BY_N = "mixture: {by: n}\n"


class Unlimited:
    """An engine that takes no limit."""

    name, dialect = "elsewhere", "duckdb"

    def register(self, tables: Mapping[str, Sequence[str]], schemas: Mapping[str, pa.Schema]) -> None:
        """Nothing to do."""

    def batches(self, expression: object) -> Iterator[pa.RecordBatch]:
        raise AssertionError("nothing is asked")

    def analyze(self, expression: object) -> str:
        return ""

    def close(self) -> None:
        """Nothing to do."""


def compiled(tmp_path: Path, text: str, size: int | None) -> mixtera.Plan:
    spec, catalog = spec_of(tmp_path, text, (SOURCE,)), catalog_of(tmp_path, (SOURCE,))
    return mixtera.compile(spec, catalog, max_memory=size)


def test_the_plan_is_the_same(tmp_path: Path) -> None:
    assert compiled(tmp_path, BY_N, 512 * MEBI).digest == compiled(tmp_path, BY_N, None).digest


def test_the_engine_gets_what_is_left(tmp_path: Path) -> None:
    spec, catalog = spec_of(tmp_path, BY_N, (SOURCE,)), catalog_of(tmp_path, (SOURCE,))
    with closing(DuckDBEngine(threads=1)) as engine:
        mixtera.compile(spec, catalog, engine=engine, max_memory=1024 * MEBI)
        (limit,) = engine._run("SELECT current_setting('memory_limit')").fetchone() or ("",)
        assert 600 < float(limit.removesuffix(" MiB")) < 740


def test_too_little_is_refused(tmp_path: Path) -> None:
    message = (
        r"does not fit into 100 MiB of memory \(--max-memory\): 1 files in 3 segments need 385 MiB; allow at least"
    )
    with pytest.raises(PlanError, match=message):
        compiled(tmp_path, BY_N, 100 * MEBI)


def test_a_sorted_component_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixtera.compiler.room._SORTED_BYTES", 1 << 20)
    message = "sorting the 1,000 samples of component '0' \\(`by`\\) need 1,289 MiB"
    with pytest.raises(PlanError, match=message):
        compiled(tmp_path, BY_N + "order: {by: n}\n", 512 * MEBI)


def test_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixtera.compiler.room._ENTRY_BYTES", 64 << 20)
    with pytest.raises(PlanError, match=r"9 entries \(a component in a segment\) need 865 MiB"):
        compiled(tmp_path, BY_N, 512 * MEBI)


def test_an_engine_without_a_limit_is_refused(tmp_path: Path) -> None:
    spec, catalog = spec_of(tmp_path, BY_N, (SOURCE,)), catalog_of(tmp_path, (SOURCE,))
    with pytest.raises(EngineError, match="the engine 'elsewhere' takes no limit on its memory"):
        mixtera.compile(spec, catalog, engine=Unlimited(), max_memory=1024 * MEBI)


@pytest.mark.parametrize("size", ["", "0", "much", "-1GiB", "1.5GiB", "1PiB"])
def test_what_is_no_size_is_wrong_usage(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "spec.yaml", "-o", "plan", f"--max-memory={size}"]) == 2
    assert "is not a size: write bytes, or a number with KiB, MiB, GiB or TiB" in capsys.readouterr().err


def _resident_bytes(values: np.ndarray) -> int:
    """Bytes of the mapping of an array that are in the process's memory; 0 also where the system doesn't say."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(match[1], 16) <= values.ctypes.data < int(match[2], 16)
        elif inside and line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    return 0


def test_what_is_forgotten_is_kept_in_its_file() -> None:
    values = scratch(1 << 22, np.uint32)
    fill(values, 7)
    values[123] = 5
    assert (values[::1024] == 7).all()  # all of it is in memory again
    before = _resident_bytes(values)
    forget(values, values[5:10].view(np.uint8), np.zeros(3))
    assert _resident_bytes(values) < max(before, 1)
    assert values[:200].sum() == 7 * 200 - 2
    assert values[-1] == 7


def test_a_long_array_comes_in_parts() -> None:
    values = np.arange(10_000_000)
    parts = list(steps(values))
    assert len(parts) == 5
    assert (np.concatenate(parts) == values).all()
    assert list(steps(values[:0])) == []
