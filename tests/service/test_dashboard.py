"""The dashboard: pages of services that really run, parsed, and opened in a browser where there is one."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import psutil
import pytest

from mixtera.jobs.messages import Lately, SeenReader
from mixtera.order.timeline import Phase, Timeline
from mixtera.plan import Plan
from mixtera.service.drawn import overview, page
from mixtera.service.history import Heard
from mixtera.service.seen import MOST_POINTS, SERIES, forecast, limit_of, seen, thinned, throughput
from mixtera.service.watched import Watched
from tests.service.running import TOKENS, Service, trained
from tests.waiting import gone, until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
EVIL = '<script>alert(1)</script><img src=x onerror=alert(1)>"&\u202e'


class Page(HTMLParser):
    """What a page has in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data.strip()

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.tags)


def asked(service: Service, path: str, token: str | None = None) -> Page:
    status, body = service.ask("GET", path, token=token)
    assert status == 200, body
    return Page(body.decode())


def test_the_page_of_a_job_shows_the_training(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    with service.attach("run") as job, job.stream(8) as stream:
        trained(job, [stream], 40)
        weights = job.status()["weights"]
        found = asked(service, "/jobs/run")
    assert {"Weights over time", "Losses", "Throughput", "Readers", "What runs out"} <= set(found.text.split("\n"))
    assert found.count("svg") == 4
    components = [row for row in found.rows if row and row[0] in job.components]
    assert [row[0] for row in components] == list(job.components)
    assert [float(row[1].split()[0]) for row in components] == pytest.approx([100 * w for w in weights], abs=0.01)
    assert [row[3] for row in components] == ["1.0000"] * 3
    assert any(row and row[0].startswith("rank 0,") for row in found.rows)
    assert "What sets the pace: " in found.text
    assert ("meta", {"http-equiv": "refresh", "content": "10"}) in found.tags


def test_the_page_of_all_jobs_leads_to_each(service: Service, plan: Plan, static_plan: Plan) -> None:
    assert "There is no job here" in asked(service, "/dashboard").text
    service.create("follows", plan)
    service.create("static", static_plan)
    service.create("broken", plan)
    (service.jobs / "broken" / "journal.jsonl").write_text("nonsense\n" * 3)
    found = asked(service, "/dashboard")
    links = [attributes["href"] for tag, attributes in found.tags if tag == "a"]
    assert links == ["/jobs/follows", "/jobs/static", "/dashboard"]
    assert "broken: " in found.text
    assert "reported no losses" in asked(service, "/jobs/static").text


def test_pages_need_a_token_which_may_be_the_password_of_a_browser(guarded: Service) -> None:
    def basic(token: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"me:{token}".encode()).decode()}

    assert guarded.ask("GET", "/dashboard", headers=basic(TOKENS["train"]))[0] == 200
    assert guarded.ask("GET", "/jobs/run-1", token=TOKENS["read"])[0] == 200
    for headers in ({}, basic("mixtera_wrong"), {"Authorization": "Basic nonsense"}, {"Authorization": "Basic ü"}):
        sent = {name: value.encode().decode("latin-1") for name, value in headers.items()}
        assert guarded.ask("GET", "/dashboard", headers=sent)[0] == 401
    for path in ("/v1/jobs", "/metrics"):  # what a browser sends along unasked opens nothing else
        assert guarded.ask("GET", path, headers=basic(TOKENS["admin"]))[0] == 401


def test_a_token_sees_the_pages_of_its_jobs(guarded: Service) -> None:
    assert guarded.ask("GET", "/jobs/other", token=TOKENS["train"])[0] == 404
    found = asked(guarded, "/dashboard", TOKENS["train"])
    assert "run-1" in found.text
    assert [row[0] for row in found.rows[1:]] == ["run-1"]
    assert [row[0] for row in asked(guarded, "/dashboard", TOKENS["read"]).rows[1:]] == ["other", "run-1"]
    assert guarded.ask("GET", "/jobs/nothing", token=TOKENS["admin"])[0] == 404


def drawing(service: Service) -> list[int]:
    """The processes of the service that draw."""
    assert service.process is not None
    children = [child.pid for child in psutil.Process(service.process.pid).children() if not gone(child.pid)]
    return [pid for pid in children if any("spawn_main" in word for word in psutil.Process(pid).cmdline())]


def test_the_process_that_draws_may_die_and_goes_with_the_service(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    asked(service, "/jobs/run")
    (drawer,) = drawing(service)
    os.kill(drawer, signal.SIGKILL)
    answers = [service.ask("GET", "/dashboard")[0] for _ in range(2)]  # the page of the job is still fresh
    assert answers in ([200, 200], [503, 200])
    (drawer,) = drawing(service)
    service.kill()
    until(lambda: gone(drawer), "the end of the process that draws")
    service.start()


def test_without_what_draws_the_service_says_what_to_install(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "vl_convert.py").write_text("raise ModuleNotFoundError('none here', name='vl_convert')")
    with Service(tmp_path / "service", environment={"PYTHONPATH": str(tmp_path / "hidden")}).start() as service:
        service.create("run", plan)
        for path in ("/jobs/run", "/dashboard"):
            status, body = service.ask("GET", path)
            assert status == 501
            assert body["error"]["message"] == "the dashboard needs vl_convert: pip install 'mixtera[report]'"
        assert service.ask("GET", "/metrics")[0] == 200


def reader(rank: int, share: float, limit: str, gone: bool = False) -> SeenReader:
    return SeenReader(rank, 0, 640 + rank, "node:1", 2.0, gone, Lately(share, limit, 12.5, 3e6, 2, 1 << 20))


def job(components: int = 3, name: str = "run", **other: object) -> Watched:
    names = [f"c{number}" for number in range(components)]
    status = {"components": names, "name": "plan", "plan": "sha256:0", "algorithm": "ado", "promised": 1_280}
    status |= {
        "end": 9_000,
        "checkpoint": None,
        "fit": 7,
        "waiting": 2,
        "changes": 20,
        "records": 3,
        "skipped": 4,
        "step": 99,
    }
    share = tuple(1 / components for _ in names)
    phases = tuple(
        Phase(at * 64, tuple(1.0 + (at + number) % 5 for number in range(components)), (0,) * components)
        for at in range(20)
    )
    gone = Phase(6_400, (0.0, *(1.0 for _ in names[1:])), (0,) * components)
    reports = tuple(
        Heard(step, tuple(3.0 - 0.01 * step + number for number in range(components)), 8 * step, 0.1 * step)
        for step in range(100)
    )
    fields = {"asked": share, "realised": share, "furthest": 800, "slowest": 640, "reports": reports}
    fields["readers"] = tuple(reader(rank, rank / 20, "storage") for rank in range(10))
    timeline = Timeline((*phases, gone), 9_000)
    return Watched(name, status, timeline, 0, 64, **(fields | other))  # type: ignore[arg-type]


def test_what_others_wrote_stays_text() -> None:
    evil = job(name=EVIL, readers=(SeenReader(0, 0, 1, EVIL, 1.0, False),))
    evil.status["components"] = [EVIL, EVIL + "2", EVIL + "3"]
    evil.status["name"] = EVIL
    for html in (page(seen(evil)), overview([seen(evil)], [(EVIL, EVIL)])):
        found = Page(html.decode())
        assert found.count("script") == found.count("img") == 0
        assert "alert(1)" in found.text
        assert "\u202e" not in html.decode()


def test_a_job_of_many_components_has_a_few_colours() -> None:
    found = seen(job(100))
    assert len(found.named) == SERIES
    html = page(found).decode()
    assert "92 others" in html
    assert len(html) < 400_000


def test_a_forecast_names_what_runs_out_behind_what_is_promised() -> None:
    phases = (Phase(0, (1.0, 1.0, 0.0), (0, 0, 0)), Phase(100, (1.0, 0.0, 0.0), (0, 0, 0)))
    assert forecast(Timeline(phases, 300), ["a", "b", "c"], 10, 64) == ((110, "b"), (310, ""))
    assert forecast(Timeline(phases, None), ["a", "b", "c"], 10, 200) == ()


def test_the_pace_is_set_by_the_living_reader_that_waits_longest() -> None:
    assert limit_of(()) == "unknown"
    readers = (reader(0, 0.01, "training"), reader(1, 0.4, "decoding"), reader(2, 0.9, "storage", gone=True))
    assert limit_of(readers) == "decoding"
    assert limit_of(readers[:1]) == "training"


def test_throughput_is_that_of_the_clock() -> None:
    assert throughput(()) == ()
    heard = [Heard(step, (1.0,), 32 * step, 0.5 * step) for step in range(10)]
    assert throughput(heard) == tuple((step, 64.0) for step in range(1, 10))
    assert throughput([Heard(0, (1.0,), None, 0.0), Heard(1, (1.0,), 5, 1.0), Heard(2, (1.0,), 5, 2.0)]) == ()


def test_thinning_keeps_both_ends() -> None:
    found = thinned(range(100_000))
    assert (len(found), found[0], found[-1]) == (MOST_POINTS, 0, 99_999)
    assert thinned([1, 2]) == [1, 2]


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_browser_shows_the_page(tmp_path: Path) -> None:
    assert CHROMIUM is not None
    file, picture = tmp_path / "page.html", tmp_path / "page.png"
    file.write_bytes(page(seen(job())))
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    words += ["--disable-dev-shm-usage"]  # in a container there may be little of it
    words += ["--window-size=1100,2400", "--virtual-time-budget=2000"]
    drawn = subprocess.run(
        [CHROMIUM, *words, "--enable-logging=stderr", f"--screenshot={picture}", file.as_uri()],
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n", drawn.stderr
    assert b"CONSOLE" not in drawn.stderr, drawn.stderr  # such as what the policy of the page forbids
    dumped = subprocess.run(
        [CHROMIUM, *words, "--dump-dom", file.as_uri()], capture_output=True, timeout=600, check=False
    )
    found = Page(dumped.stdout.decode())
    assert found.count("svg") == 4
    assert "What sets the pace: storage" in found.text
