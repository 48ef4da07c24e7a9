from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mixtera.plan import Plan
from tests.service.running import Service, saved_plan, tokens_file


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A plan whose weights are pushed."""
    return saved_plan(tmp_path_factory.mktemp("follows"))


@pytest.fixture(scope="session")
def static_plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A plan whose weights are fixed, of two epochs."""
    return saved_plan(tmp_path_factory.mktemp("static"), follows=False, epochs=(2, 2, 2))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service without tokens."""
    with Service(tmp_path / "service").start() as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> Iterator[Service]:
    """A service with a token for each role, of which the trainer's is for the jobs `run-*`, and two jobs."""
    root = tmp_path_factory.mktemp("guarded")
    tokens = tokens_file(root / "tokens.toml", {"train": ["run-*"]})
    with Service(root, "--tokens", tokens, "--plans", str(plan.path.parent), port=0).start() as running:
        running.create("run-1", plan)
        running.create("other", plan)
        yield running
