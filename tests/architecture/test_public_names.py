"""The public names are a list; importing them is cheap; every one of them is documented."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import mixtera

PUBLIC = [
    "AlgorithmError",
    "Catalog",
    "CatalogError",
    "EngineError",
    "Explanation",
    "IndexReport",
    "Issue",
    "Job",
    "JobError",
    "Lock",
    "LockError",
    "MixteraError",
    "Plan",
    "PlanError",
    "PluginError",
    "SampleError",
    "ServiceError",
    "Spec",
    "SpecError",
    "StateError",
    "StorageError",
    "Stream",
    "TokenizerError",
    "compile",
    "explain",
    "load",
    "lock",
]
HEAVY = ("torch", "jax", "duckdb", "pandas", "pyiceberg", "ibis", "sqlalchemy", "rich", "pyarrow", "numpy", "yaml")


def loaded_after(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_public_names_are_these_and_no_others() -> None:
    assert sorted(mixtera.__all__) == PUBLIC
    assert set(dir(mixtera)) == {*PUBLIC, "__version__"}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_loads_and_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(mixtera, name))


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = mixtera.no_such_name  # type: ignore[attr-defined]


def test_importing_mixtera_loads_nothing_heavy() -> None:
    assert not loaded_after("import mixtera") & set(HEAVY)


def test_showing_the_help_loads_nothing_heavy() -> None:
    statement = "from mixtera.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert not loaded_after(statement) & set(HEAVY)


def test_reading_a_plan_loads_no_engine_catalog_or_framework() -> None:
    heavy = {"torch", "jax", "duckdb", "pandas", "pyiceberg", "ibis", "sqlalchemy", "rich"}
    assert not loaded_after("from mixtera.plan import Plan\nfrom mixtera.stream import Stream") & heavy


def test_every_exception_is_a_mixtera_error_and_a_builtin_one() -> None:
    errors = [getattr(mixtera, name) for name in PUBLIC if name.endswith("Error") and name != "MixteraError"]
    assert errors
    for error in errors:
        assert issubclass(error, mixtera.MixteraError)
        assert issubclass(error, ValueError | RuntimeError | OSError | LookupError)
        assert error.exit_code in (1, 3)
