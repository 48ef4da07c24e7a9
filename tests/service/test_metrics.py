"""Metrics: what Prometheus reads, of services that really run."""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mixtera.jobs import Job
from mixtera.jobs.local import LocalJob
from mixtera.jobs.messages import AliveRequest, Lately, Reader, SeenReader
from mixtera.jobs.model import Report
from mixtera.jobs.observed import numbers_of
from mixtera.order.timeline import Phase, Timeline
from mixtera.plan import Plan
from mixtera.service.held import HeldJob, HeldJobs
from mixtera.service.history import MOST, History
from mixtera.service.metrics import MOST_COMPONENTS, OTHERS, Metrics, bytes_per_second
from mixtera.service.seen import throughput
from mixtera.service.watched import Watched, realised_at, watched
from mixtera.stream.statistics import SAYS
from tests.service.running import TOKENS, Service, rows_of, trained
from tests.waiting import until

Samples = dict[tuple[str, ...], float]


def parsed(text: bytes) -> Samples:
    """Values by name and label values, as a Prometheus would have them."""
    found: Samples = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = sorted(sample.labels.items(), key=lambda label: (label[0] != "job", label[0]))
            key = (sample.name, *(value for _, value in labels))
            assert key not in found, key
            found[key] = sample.value
    return found


def scraped(service: Service, token: str | None = None) -> Samples:
    status, body = service.ask("GET", "/metrics", token=token)
    assert status == 200, body
    return parsed(body)


def test_shares_losses_and_positions_are_those_of_the_training(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    with service.attach("run") as job, job.stream(8) as stream:
        rows = trained(job, [stream], 60)
        job.flush()
        status = job.status()
        found = scraped(service)
    for number, name in enumerate(job.components):
        taken = sum(component == name for _, component, _ in rows)
        assert found["mixtera_job_share_realised", "run", name] == pytest.approx(taken / len(rows))
        assert found["mixtera_job_share_asked", "run", name] == pytest.approx(status["weights"][number])
        assert found["mixtera_job_loss", "run", name] == 1.0
    assert found["mixtera_job_step", "run"] == 59
    assert found["mixtera_job_furthest_position", "run"] == 480
    assert found["mixtera_job_promised_position", "run"] == status["promised"] >= 480
    assert found["mixtera_job_weight_changes_total", "run"] == status["changes"] > 20
    assert found["mixtera_job_records_total", "run"] == status["records"]
    assert found["mixtera_job_fit_open", "run"] == 0


def test_requests_are_counted_by_action_and_status(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    before, begun = scraped(service), time.monotonic()
    for _ in range(3):
        service.ask("GET", "/v1/jobs/run/status")
    service.ask("GET", "/v1/jobs/nothing/status")
    service.ask("GET", "/no/such/path")
    after, seconds = scraped(service), time.monotonic() - begun
    assert after["mixtera_requests_total", "status", "200"] == 3
    assert after["mixtera_requests_total", "status", "404"] == 1
    assert after["mixtera_requests_total", "unknown", "404"] == 1
    assert after["mixtera_request_seconds_count", "status"] == 4
    assert 0 < after["mixtera_request_seconds_sum", "status"] < seconds
    assert ("mixtera_requests_total", "status", "200") not in before


def test_what_strangers_send_makes_no_series(service: Service) -> None:
    service.ask("GET", "/v1/jobs")
    service.ask("GET", "/stranger/0")
    scraped(service)
    before = set(scraped(service))
    for number in range(20):
        service.ask("GET", f"/stranger/{number}")
        service.ask("GET", f"/v1/jobs/nobody-{number}/status")
        service.ask("BREW", "/v1/jobs")
    text = service.ask("GET", "/metrics")[1]
    assert b"nobody" not in text
    assert b"stranger" not in text
    assert len(set(parsed(text)) - before) <= 20  # one more action, with its histogram, and one more status


def test_bytes_of_samples_read_through_the_service(service: Service, static_plan: Plan) -> None:
    service.create("run", static_plan)
    status, body = service.ask("POST", "/v1/jobs/run/read", {"batch_size": 8, "stop": 800})
    assert status == 200
    found = scraped(service)
    assert found["mixtera_tunnel_bytes_total",] == len(body) > 10_000
    assert found["mixtera_tunnels_open",] == 0


def test_requests_that_are_too_many_are_counted(tmp_path: Path) -> None:
    with Service(tmp_path / "service", "--rate", "1").start() as service:
        refused = 0
        while refused < 3:  # as fast as this machine asks
            refused += service.ask("GET", "/v1/jobs")[0] == 429
        while (answer := service.ask("GET", "/metrics"))[0] == 429:
            refused += 1
            time.sleep(0.1)
        assert parsed(answer[1])["mixtera_rate_limited_total",] == refused


def test_metrics_need_a_token_where_there_are_tokens(guarded: Service) -> None:
    assert guarded.ask("GET", "/metrics")[0] == 401
    assert guarded.ask("GET", "/metrics", token="mixtera_wrong")[0] == 401
    assert guarded.ask("POST", "/metrics", {}, token=TOKENS["admin"])[0] == 405


def test_a_token_is_told_of_the_jobs_that_it_may_see(guarded: Service) -> None:
    for job in ("run-1", "other"):
        guarded.ask("GET", f"/v1/jobs/{job}/status", token=TOKENS["admin"])
    jobs = {role: {key[1] for key in scraped(guarded, token) if "_job_" in key[0]} for role, token in TOKENS.items()}
    assert jobs == {"read": {"run-1", "other"}, "train": {"run-1"}, "admin": {"run-1", "other"}}
    text = guarded.ask("GET", "/metrics", token=TOKENS["admin"])[1].decode()
    assert not any(token in text for token in TOKENS.values())


def test_losses_of_a_plan_that_does_not_follow_are_seen_too(service: Service, static_plan: Plan) -> None:
    service.create("run", static_plan)
    with service.attach("run") as job, job.stream(8) as stream:
        rows_of(next(stream))
        job.feedback(0, [3.0, math.nan, 8.0], [1.0, 1.0, 4.0])
        job.flush()
    found = scraped(service)
    assert found["mixtera_job_loss", "run", "c0"] == 3.0
    assert found["mixtera_job_loss", "run", "c2"] == 2.0
    assert ("mixtera_job_loss", "run", "c1") not in found
    assert found["mixtera_job_step", "run"] == 0
    assert found["mixtera_job_share_asked", "run", "c0"] == pytest.approx(0.5)


def of(components: int, **other: object) -> Watched:
    names = [f"c{number}" for number in range(components)]
    status = {"components": names, "promised": 0, "end": None, "checkpoint": None, "fit": 3, "waiting": 2, "skipped": 0}
    status |= {"changes": 0, "records": 1, "step": -1}
    share = tuple((number + 1) / sum(range(components + 1)) for number in range(components))
    fields = {"asked": share, "realised": share, "furthest": 9, "slowest": 4, "readers": (), "reports": ()}
    return Watched("big", status, Timeline((), None), 0, 64, **(fields | other))  # type: ignore[arg-type]


def test_a_job_of_very_many_components_has_not_a_series_for_each() -> None:
    found = parsed(Metrics().text([of(5_000)], 0))
    asked = {key[2]: value for key, value in found.items() if key[0] == "mixtera_job_share_asked"}
    assert len(asked) == MOST_COMPONENTS + 1
    assert sum(asked.values()) == pytest.approx(1)
    assert asked[OTHERS] > 0.9
    assert "c4999" in asked
    assert len(found) < 2 * (MOST_COMPONENTS + 1) + 50


def test_readers_are_counted_and_not_listed() -> None:
    readers = tuple(SeenReader(rank, 0, 0, "host:1", 1.0, rank % 4 == 0) for rank in range(2_000))
    found = parsed(Metrics().text([of(2, readers=readers)], 0))
    assert found["mixtera_job_readers", "big", "alive"] == 1_500
    assert found["mixtera_job_readers", "big", "gone"] == 500
    assert len(found) < 60


def test_names_that_others_wrote_cannot_break_out() -> None:
    evil = 'x"} 1\nmixtera_evil 1 \\'
    job = of(1)
    job.status["components"] = [evil]
    assert parsed(Metrics().text([job], 0))["mixtera_job_share_asked", "big", evil] == 1.0


def test_the_realised_share_is_counted_and_not_asked() -> None:
    timeline = Timeline((Phase(0, (1.0, 1.0), (0, 0)), Phase(100, (0.0, 1.0), (50, 50))), 300)
    assert realised_at(timeline, None) is None
    assert realised_at(timeline, 0) is None
    assert realised_at(timeline, 100) == (0.5, 0.5)
    assert realised_at(timeline, 200) == (0.25, 0.75)
    counts = timeline.filled(np.array([300], np.int64))[0]
    assert realised_at(timeline, 10_000) == tuple((counts / 300).tolist())


def test_the_history_keeps_the_whole_run_and_stays_small() -> None:
    history = History()
    assert history.reports() == ()
    for step in range(10_001):
        history.note(Report(step, (float(step), 0.0), (2.0, 0.0), position=step))
    history.note(Report(10_000, (0.0, 0.0), (1.0, 1.0)))  # said twice
    kept = history.reports()
    assert MOST <= len(kept) <= 2 * MOST
    assert (kept[0].step, kept[-1].step) == (0, 10_000)
    assert kept[-1].losses == (5_000.0, None)
    again = History()
    again.note(Report(10_001, (4.0, 0.0), (2.0, 0.0)))  # said before the journal was read
    again.remember(Report(step, (float(step), 0.0), (2.0, 0.0), position=step) for step in range(10_001))
    assert [(each.step, each.losses) for each in again.reports()[:-1]] == [(each.step, each.losses) for each in kept]
    assert (again.reports()[-1].step, again.last) == (10_001, again.reports()[-1])
    gaps = {later.step - earlier.step for earlier, later in itertools.pairwise(kept[:-1])}
    assert gaps == {16}


def test_losses_come_back_from_the_journal(plan: Plan, tmp_path: Path) -> None:
    with Job.local(plan, tmp_path / "run") as job:
        for step in range(0, 50, 5):
            job.feedback(step, {"c0": 2.0 * step, "c1": math.nan}, {"c0": 2, "c1": 1}, position=8 * step)
    jobs = HeldJobs(str(tmp_path))
    try:
        held = asyncio.run(jobs.get("run"))
        assert held is not None
        until(lambda: bool(held.history.reports()), "the history of the journal")
        found = held.history.reports()
        assert [(each.step, each.position) for each in found] == [(step, 8 * step) for step in range(0, 50, 5)]
        assert [each.losses for each in found] == [(float(step), None, None) for step in range(0, 50, 5)]
        assert throughput(found) == ()
        assert watched(held).losses == (45.0, None, None)
    finally:
        jobs.close()


def test_how_long_a_rank_waits_is_seen_in_the_status_and_the_metrics(service: Service, static_plan: Plan) -> None:
    service.create("run", static_plan)
    with static_plan.stream(8, 1, 2) as stream:  # one of the job would say something of itself, at any moment
        for _ in range(24):
            next(stream)
        said = AliveRequest("host:1", (Reader(1, 0, stream.position, numbers_of(stream)),))
    numbers = msgspec.structs.replace(said.readers[0].numbers, cache_hits=30, cache_misses=10)
    said = AliveRequest("host:1", (Reader(1, 0, said.readers[0].position, numbers),))
    assert service.ask("POST", "/v1/jobs/run/alive", msgspec.to_builtins(said))[0] == 200
    (reader,) = service.ask("GET", "/v1/jobs/run/status")[1]["readers"]
    found = scraped(service)
    assert (reader["rank"], reader["worker"], reader["gone"]) == (1, 0, False)
    assert 0 < reader["lately"]["wait_share"] <= 1
    assert reader["lately"]["limit"] in SAYS
    assert found["mixtera_job_data_wait_share", "run", "worst"] == pytest.approx(reader["lately"]["wait_share"])
    assert found["mixtera_job_slowest_position", "run"] == reader["position"] > 0
    assert found["mixtera_job_cache_hit_share", "run"] == 0.75
    assert found["mixtera_job_queued_fetches", "run"] == reader["lately"]["queue"]
    assert sum(found["mixtera_job_readers_limited", "run", by] for by in SAYS) == 1


def test_bytes_of_a_process_count_once() -> None:
    def reader(rank: int, process: str, rate: float, gone: bool = False) -> SeenReader:
        return SeenReader(rank, 0, 0, process, 1.0, gone, Lately(0.1, "storage", 1.0, rate, 0, 0))

    readers = [reader(0, "a:1", 5.0), reader(1, "a:1", 6.0), reader(2, "b:1", 7.0), reader(3, "c:1", 9.0, gone=True)]
    assert bytes_per_second([*readers, SeenReader(4, 0, 0, "d:1", 1.0, False)]) == 13.0


def test_a_job_whose_disk_hangs_is_still_told_of(plan: Plan, tmp_path: Path) -> None:
    port = LocalJob(str(tmp_path / "run"), plan, alone=True)
    entered, leave = threading.Event(), threading.Event()

    def hang() -> None:
        with port._lock.changing():  # as a write does that waits for the disk
            entered.set()
            leave.wait(600)

    with ThreadPoolExecutor(2) as threads:
        held = HeldJob("run", port, threads)
        threads.submit(hang)
        assert entered.wait(600)
        try:
            assert threads.submit(watched, held).result(600).status["records"] == 1
        finally:
            leave.set()
    port.close()
