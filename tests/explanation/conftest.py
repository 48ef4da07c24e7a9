"""What tests of explanations share."""

from __future__ import annotations

import pytest


@pytest.fixture
def short_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at few positions, for tests of long runs that are not about reading."""
    monkeypatch.setattr("mixtera.explanation.simulation.POSITIONS", 2048)
