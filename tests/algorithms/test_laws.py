"""Every algorithm keeps the laws."""

from __future__ import annotations

from typing import ClassVar

from mixtera import registry
from mixtera.testing.algorithm import AlgorithmLaws

TARGETS = {"web": 2.0, "code": 1.0, "books": 1.5, "math": 3.0}


class TestAdo(AlgorithmLaws):
    name = "ado"
    # What a search finds depends on the last bit of the sums that it sees.
    close: ClassVar[float] = 1e-3

    def options(self):
        return {"start": 120, "ignore": 20, "interval": 60, "starts": 1}


class TestAdoOfThePaper(TestAdo):
    def options(self):
        return {"profile": "paper", "start": 120, "ignore": 20, "interval": 60, "starts": 1, "prior": "uniform"}


class TestLossAverage(AlgorithmLaws):
    name = "loss_average"


class TestOdm(AlgorithmLaws):
    name = "odm"


class TestOdmInGroups(AlgorithmLaws):
    name = "odm"

    def options(self):
        return {"rule": "group", "reward": "loss", "warmup": 10, "period": 3}


class TestExp3(AlgorithmLaws):
    name = "exp3"


class TestSheared(AlgorithmLaws):
    name = "sheared"

    def options(self):
        return {"targets": TARGETS, "period": 5}


class TestShearedAsABandit(AlgorithmLaws):
    name = "sheared"

    def options(self):
        return {"targets": TARGETS, "period": 5, "rule": "bandit", "clip": True}


class TestVelocity(AlgorithmLaws):
    name = "velocity"

    def options(self):
        return {"targets": TARGETS, "period": 5}


class TestSkillIt(AlgorithmLaws):
    name = "skill_it"

    def options(self):
        return {"graph": {"web": {"code": 0.5, "math": 0.2}, "math": {"math": 2.0}}, "period": 5, "normalise": True}


class TestExternal(AlgorithmLaws):
    name = "external"


def test_none_escapes() -> None:
    laws = [value for value in globals().values() if isinstance(value, type) and issubclass(value, AlgorithmLaws)]
    assert {law.name for law in laws if law is not AlgorithmLaws} == set(registry.names("algorithms"))
