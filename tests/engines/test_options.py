"""Options of engines: what is given counts, then the environment, then the machine; mistakes name what is allowed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import ibis
import pyarrow as pa
import pytest

from mixtera.cli.main import INPUT_IS_WRONG, USAGE, main
from mixtera.errors import PluginError
from mixtera.registry import engine_named
from mixtera_backends.engines import limits
from mixtera_backends.engines.duckdb import DuckDBEngine
from mixtera_backends.engines.limits import Limits

WITH_OPTIONS = ("duckdb", "datafusion", "clickhouse")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in limits.LIMITS:
        monkeypatch.delenv(option.variable, raising=False)


def settings_of(engine: DuckDBEngine) -> dict[str, str]:
    names = ("threads", "memory_limit", "temp_directory")
    row = engine._run("SELECT " + ", ".join(f"current_setting('{name}')" for name in names)).fetchone()
    assert row is not None
    return dict(zip(names, map(str, row), strict=True))


def test_options_reach_duckdb(tmp_path: Path) -> None:
    engine = engine_named(f"duckdb(threads=3,memory_limit=512MiB,spill_directory={tmp_path})")
    assert isinstance(engine, DuckDBEngine)
    with closing(engine):
        found = settings_of(engine)
        assert (found["threads"], found["memory_limit"]) == ("3", "512.0 MiB")
        assert Path(found["temp_directory"]).parent == tmp_path
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_the_environment_counts_where_nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIXTERA_ENGINE_THREADS", "5")
    monkeypatch.setenv("MIXTERA_ENGINE_MEMORY_LIMIT", "1GiB")
    assert Limits.of({"threads": "2"}) == Limits(2, 1 << 30)


def test_datafusion_spills_in_its_directory_and_leaves_nothing(tmp_path: Path) -> None:
    with closing(engine_named(f"datafusion(threads=1,memory_limit=64MiB,spill_directory={tmp_path})")) as engine:
        schema = pa.schema([("row", pa.int64())])
        engine.register({"web": ()}, {"web": schema})
        assert not list(engine.batches(ibis.table({"row": "int64"}, name="web").filter(ibis._.row > 1)))
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("thread=4", r"no engine option 'thread'; allowed: threads, memory_limit"),
        ("threads=0", r"engine option 'threads' is '0': it must be a whole number from 1"),
        ("threads=-1", "whole number"),
        ("threads=two", "whole number"),
        ("threads=٣", "whole number"),
        ("memory_limit=much", r"engine option 'memory_limit': 'much' is not a size"),
        ("memory_limit=0", "not a size"),
        ("threads", "is no engine with options"),
    ],
)
@pytest.mark.parametrize("engine", WITH_OPTIONS)
def test_mistakes_name_what_is_allowed(engine: str, options: str, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        engine_named(f"{engine}({options})")


def test_a_mistake_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIXTERA_ENGINE_SPILL_DIRECTORY", "/nowhere/at/all")
    with pytest.raises(PluginError, match=r"MIXTERA_ENGINE_SPILL_DIRECTORY is '/nowhere/at/all', .*no directory"):
        engine_named("duckdb")


@pytest.mark.parametrize("engine", ["polars", "postgres", "trino"])
def test_engines_without_options_say_so(engine: str) -> None:
    with pytest.raises(PluginError, match=f"the engine '{engine}' takes no options; found threads"):
        engine_named(f"{engine}(threads=2)")


def test_the_command_line_puts_them_behind_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n' * 20)
    (tmp_path / "s.yaml").write_text(
        "version: 1\nname: s\nsources: {web: {path: a.jsonl, content: text}}\n"
        "mixture: {components: [{name: all, weight: 1}]}\n"
    )
    assert main(["index", "s.yaml", "--quiet"]) == 0
    compile_ = ["compile", "s.yaml", "-o", "plan", "--engine-option"]
    assert main([*compile_, "threads=1", "--engine-option", "memory_limit=300MB"]) == 0
    capsys.readouterr()
    assert main([*compile_, "colour=red", "--engine", "datafusion"]) == INPUT_IS_WRONG
    assert "no engine option 'colour'; allowed: threads" in capsys.readouterr().err
    assert main([*compile_, "threads"]) == USAGE
    assert "'threads' is not NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "processors", "memory"),
    [
        ({}, None, None),
        ({"cpu.max": "max 100000\n", "memory.max": "max\n"}, None, None),
        ({"cpu.max": "50000 100000\n", "memory.max": f"{1 << 30}\n"}, 1, 1 << 30),
        ({"memory/memory.limit_in_bytes": f"{3 << 29}\n"}, None, 3 << 29),
        ({"memory/memory.limit_in_bytes": f"{(1 << 63) - 4096}\n"}, None, None),
        ({"cpu.max": "rubbish", "memory.max": ""}, None, None),
        ({"memory.max": "4096\n"}, None, 256 << 20),
    ],
)
def test_the_machine_is_what_the_container_leaves_of_it(
    files: dict[str, str], processors: int | None, memory: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_CGROUP", tmp_path / "none")
    whole = limits.processors(), limits.memory_bytes()
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(limits, "_CGROUP", tmp_path)
    assert (limits.processors(), limits.memory_bytes()) == (processors or whole[0], memory or whole[1])
    assert Limits.of({}).memory_bytes == min(2 << 30, limits.memory_bytes() // 2)
