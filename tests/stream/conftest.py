from __future__ import annotations

import pytest

from mixtera.artifact.model import PlanData
from tests.stream.written import written_plan


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> PlanData:
    return written_plan(tmp_path_factory.mktemp("written"))
