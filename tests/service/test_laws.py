"""The laws of jobs, over a service: read here, and through it; and loaders over such jobs."""

from __future__ import annotations

import pytest

from mixtera.adapters.torch import loader
from mixtera.jobs import Job
from mixtera.plan import Plan
from mixtera.testing.job import JobLaws
from tests.service.running import Service


class TestServedJob(JobLaws):
    @pytest.fixture(autouse=True)
    def where(self, service: Service) -> None:
        self.service, self.made = service, set[str]()

    def open(self, plan: Plan, name: str) -> Job:
        if name not in self.made:
            self.made.add(name)
            self.service.create(name, plan)
        return self.service.attach(name)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_reads_through_the_service(service: Service, static_plan: Plan, workers: int) -> None:
    service.create("run", static_plan)
    with static_plan.stream(8) as here:
        expected = [next(here)["sample"].to_pylist() for _ in range(20)]
    with service.attach("run", reading="tunnel") as job:
        found = iter(loader(job, batch_size=8, num_workers=workers))
        assert [next(found)["sample"].tolist() for _ in range(20)] == expected
        del found
        readers = job.status()["readers"]
        assert {reader["rank"] for reader in readers} <= {0}
