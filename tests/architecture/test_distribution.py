"""What is shipped: both packages, their types, the example specs; no tests."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names in a wheel of this tree."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    with zipfile.ZipFile(next(out.glob("*.whl"))) as archive:
        return archive.namelist()


def test_the_wheel_has_every_module_and_the_types(wheel: list[str]) -> None:
    modules = [path.relative_to(ROOT).as_posix() for path in (ROOT / "mixtera").rglob("*.py")]
    modules += [path.relative_to(ROOT / "backends").as_posix() for path in (ROOT / "backends").rglob("*.py")]
    assert set(modules) <= set(wheel)
    assert {"mixtera/py.typed", "mixtera_backends/py.typed"} <= set(wheel)


def test_the_wheel_has_the_example_specs(wheel: list[str]) -> None:
    root = ROOT / "specs" / "examples"
    files = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    examples = {f"mixtera/demo/specs/{name}" for name in files}
    assert {"mixtera/demo/specs/demo.yaml", "mixtera/demo/specs/parts/corpus.yaml"} < examples
    assert examples <= set(wheel)


def test_the_wheel_has_what_the_page_of_explain_is_made_of(wheel: list[str]) -> None:
    assert {"mixtera/explanation/page.html.jinja", "mixtera/explanation/page.css"} <= set(wheel)


def test_the_wheel_has_nothing_else(wheel: list[str]) -> None:
    roots = {name.partition("/")[0] for name in wheel}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"mixtera", "mixtera_backends"}


def test_every_requirement_has_a_tested_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    stated = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    tested = {normal(line.partition("==")[0]) for line in lines if "==" in line}
    assert {normal(re.split(r"[\[<>=!~ ]", requirement)[0]) for requirement in stated} <= tested


def test_the_constraints_are_plain_versions() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line) for line in lines)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
