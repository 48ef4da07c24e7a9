from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mixtera.artifact import digest, layout
from mixtera.artifact.model import OrderParameters
from mixtera.plan import Plan
from tests.stream.written import written_plan


@pytest.fixture(scope="session")
def plan_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan on disk: three components of about 900 short texts, in 4 lanes."""
    root = tmp_path_factory.mktemp("plan")
    data = written_plan(root / "data", order=OrderParameters(5, "global", 64, 4, 8))
    layout.write(str(root / "plan"), dataclasses.replace(data, name="adapters"), digest.digest(data))
    return root / "plan"


@pytest.fixture(scope="session")
def plan(plan_path: Path) -> Plan:
    return Plan.open(str(plan_path))


@pytest.fixture(scope="session")
def order(plan: Plan) -> list[int]:
    return plan.samples(0, len(plan)).column("sample").to_pylist()
