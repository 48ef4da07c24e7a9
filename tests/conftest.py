"""What all tests share: hypothesis profiles and golden files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

GOLDEN = Path(__file__).parent / "golden"

# A machine that does other work at the same time makes single examples slow: no deadlines, and no check of the clock.
# The tests try the same examples each time, so that none refuses a change that has nothing to do with it; `make soak`
# looks for others, thousands of them.
PATIENT = (HealthCheck.too_slow,)
settings.register_profile("tests", deadline=None, suppress_health_check=PATIENT, derandomize=True, database=None)
settings.register_profile("soak", deadline=None, suppress_health_check=PATIENT, max_examples=2000)
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write the golden files anew instead of comparing")


@pytest.fixture
def check_golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with tests/golden/<name>; with --write-golden, writes it there."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--write-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; `make golden` writes it"
        assert text == path.read_text(encoding="utf-8"), (
            f"{path.name} has changed; `make golden`, then look at the diff"
        )

    return check
