"""What import-linter, ruff and the eye would say of the sources, as tests."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "mixtera").rglob("*.py"), *(ROOT / "backends").rglob("*.py")])
TEXTS = sorted(
    path
    for pattern in (
        "mixtera/**/*.py",
        "backends/**/*.py",
        "docs/**/*.md",
        "specs/examples/**/*.*",
        "benchmarks/**/*.py",
        "examples/*.*",
        "*.md",
    )
    for path in ROOT.glob(pattern)
)
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60
FORBIDDEN_CALLS = {"eval", "exec", "breakpoint"}
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
FORBIDDEN_TEXT = re.compile(r"/(home|root|work|Users)/\w|\b(TODO|FIXME|XXX)\b|NotImplementedError|PYTEST_CURRENT_TEST")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_imports_go_one_way() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_function_is_long(path: Path) -> None:
    long = [node.name for node in functions(ast.parse(path.read_text())) if length(node) > MOST_LINES_OF_A_FUNCTION]
    assert long == []


def test_most_functions_have_a_few_lines() -> None:
    lengths = sorted(length(node) for path in SOURCES for node in functions(ast.parse(path.read_text())))
    assert lengths[len(lengths) // 2] <= 10


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_runs_code_from_data(path: Path) -> None:
    tree = ast.parse(path.read_text())
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    imported = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    imported |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    assert not called & FORBIDDEN_CALLS
    assert not {name.partition(".")[0] for name in imported} & FORBIDDEN_MODULES


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_exception_is_swallowed_whole(path: Path) -> None:
    handlers = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ExceptHandler)]
    caught = {ast.unparse(handler.type) if handler.type else "everything" for handler in handlers}
    broad = [h for h in handlers if ast.unparse(h.type or ast.Constant("")) in ("Exception", "BaseException", "''")]
    assert all(any(isinstance(n, ast.Raise) for n in ast.walk(handler)) for handler in broad), caught


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_no_place_of_one_machine_and_nothing_left_to_do(path: Path) -> None:
    found = FORBIDDEN_TEXT.search(path.read_text(encoding="utf-8"))
    assert found is None, found


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree)
