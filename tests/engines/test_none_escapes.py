"""None escapes: every engine that is registered keeps the laws, or says by a gap that it does not run."""

from __future__ import annotations

import importlib
import pkgutil
import typing
from pathlib import Path

import ibis
import pytest

from mixtera import registry
from mixtera.compiler.queries import dialects
from mixtera.contracts.engine import CAPABILITIES, Engine, gaps_of
from mixtera.errors import EngineError
from mixtera.testing.engine import EngineLaws

ENGINES = registry.names("engines")
PRINTED_ONLY = tuple(name for name in ENGINES if "run" in gaps_of(registry.engine_class(name)))


def law_classes() -> set[type[Engine]]:
    """The engines of all subclasses of the laws below this folder, as their method `engine` is annotated."""
    found = set()
    for module in pkgutil.walk_packages([str(Path(__file__).parent)], "tests.engines."):
        if module.name.rpartition(".")[2].startswith("test_"):
            loaded = importlib.import_module(module.name)
            found |= {laws for laws in vars(loaded).values() if isinstance(laws, type) and issubclass(laws, EngineLaws)}
    return {typing.get_type_hints(laws.engine)["return"] for laws in found - {EngineLaws}}


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_keeps_the_laws_or_declares_that_it_does_not_run(name: str) -> None:
    assert registry.engine_class(name) in law_classes() or name in PRINTED_ONLY


@pytest.mark.parametrize("name", ENGINES)
def test_names_and_gaps_are_what_they_say(name: str) -> None:
    engine = registry.engine_class(name)
    assert engine.name == name
    assert set(gaps_of(engine)) <= set(CAPABILITIES)
    assert ("sql" in gaps_of(engine)) == (name not in dialects())
    assert all(gap.why.endswith(".") for gap in gaps_of(engine).values())


@pytest.mark.parametrize("name", PRINTED_ONLY)
def test_what_is_only_printed_says_so(name: str) -> None:
    engine = registry.engine_named(name)
    table = ibis.table({"row": "int64"}, name="web")
    for call in (lambda: engine.register({}, {}), lambda: engine.batches(table), lambda: engine.analyze(table)):
        with pytest.raises(EngineError, match=gaps_of(engine)["run"].error) as failed:
            call()
        assert f"--dialect {name}" in str(failed.value)
    engine.close()
