"""The synthetic catalogs of `make bench-scale` are catalogs: they compile, and grow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mixtera
from benchmarks import billion
from benchmarks.catalogs import Shape, write_catalog
from mixtera import Catalog, Plan
from mixtera.cli.main import main


def compiled(directory: Path, **options: bool) -> Plan:
    return mixtera.compile(
        mixtera.load(str(directory / "spec.yaml")), Catalog.open(str(directory / "catalog")), **options
    )


def test_a_catalog_of_a_shape(tmp_path: Path) -> None:
    write_catalog(tmp_path, Shape(3_000, files=10))
    plan = compiled(tmp_path)
    assert [part["rows"] for part in plan.data.facts["sources"]] == [3_000]
    assert len(plan.data.rows) == 3_000
    assert len(plan.components) == 8
    assert plan.data.files.num_rows == 10


def test_a_wide_catalog(tmp_path: Path) -> None:
    write_catalog(tmp_path, Shape(4_000, files=40, sources=20, components=10))
    plan = compiled(tmp_path)
    assert len(plan.components) == 10
    assert len(plan.data.rows) == 4_000
    assert {part["rows"] for part in plan.data.facts["sources"]} == {200}


def test_a_catalog_that_grows_keeps_its_rows(tmp_path: Path) -> None:
    shape = Shape(2_000, files=10)
    write_catalog(tmp_path, shape)
    compiled(tmp_path)
    write_catalog(tmp_path, replace(shape, rows=2_200, files=11))
    grown = compiled(tmp_path)
    assert grown.data.facts["asked"] == 200
    assert grown.digest == compiled(tmp_path, reuse=False).digest
    write_catalog(tmp_path / "at once", replace(shape, rows=2_200, files=11))
    assert len(compiled(tmp_path / "at once").data.rows) == 2_200


@pytest.mark.parametrize("position", [0, 99_999, 12_345_678])
def test_a_plan_whose_arrays_are_holes(tmp_path: Path, position: int) -> None:
    assert billion.write(str(tmp_path / "plan"), 1_000_000, files=10)["samples"] == 1_000_000
    plan = Plan.open(str(tmp_path / "plan"))
    one = plan.pointers.range(position, position + 1)
    several = plan.pointers.range(position, position + 500)
    assert one.sample[0] == several.sample[0]
    again = Plan.open(str(tmp_path / "plan")).pointers.range(position, position + 500)
    assert np.array_equal(several.sample, again.sample)


def test_the_command_refuses_what_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_catalog(tmp_path, Shape(100, files=2))
    command = ["compile", str(spec), "-o", str(tmp_path / "plan"), "--catalog", str(tmp_path / "catalog")]
    assert main([*command, "--max-memory", "100MiB"]) == 1
    assert "the plan does not fit into 100 MiB of memory (--max-memory): 2 files" in capsys.readouterr().err
    assert not (tmp_path / "plan").exists()
    assert main([*command, "--max-memory", "1GiB", "--no-reuse"]) == 0
    assert not (tmp_path / "catalog" / "labels").exists()
    assert main(command) == 0
    assert (tmp_path / "catalog" / "labels" / "source-0000").is_dir()
