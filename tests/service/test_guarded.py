"""What a service refuses: wrong tokens, wrong roles, wrong messages. It says why, notes it, and lives on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mixtera.errors import JobError
from mixtera.jobs import Job
from mixtera.plan import Plan
from mixtera.service.rates import Rates
from mixtera.service.tokens import VARIABLE, Tokens, entry, load
from tests.commands import run
from tests.service.running import TOKENS, Service, tokens_file

RUN = "/v1/jobs/run-1"
ONES = [1.0, 1.0, 1.0]
FEEDBACK = {"step": 0, "loss_sum": ONES, "loss_count": ONES}
ASKED = {"first": 0, "rounds": 1}


def refused(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    assert set(body) == {"error"}, body
    assert set(body["error"]) == {"kind", "message"}
    return status, body["error"]["kind"]


@pytest.mark.parametrize("token", [None, "", "mixtera_wrong", "x" * 8_000, "ü"])
def test_without_a_token_that_is_known_nothing_is_told(token: str | None, guarded: Service) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
    for method, path in (("GET", f"{RUN}/attach"), ("GET", "/v1/jobs"), ("GET", "/v1/jobs/nothing/attach")):
        assert refused(guarded.ask(method, path, headers=headers)) == (401, "WrongToken")
    assert guarded.entries()[-1]["outcome"] == "WrongToken"


def test_another_scheme_than_bearer_is_no_token(guarded: Service) -> None:
    headers = {"Authorization": f"Basic {TOKENS['admin']}"}
    assert refused(guarded.ask("GET", f"{RUN}/attach", headers=headers)) == (401, "WrongToken")


def test_a_wrong_token_is_not_tried_again(guarded: Service) -> None:
    before = len(guarded.entries())
    with pytest.raises(Exception, match=r"token is not known here; give `token=`, a token file, or \$MIXTERA_TOK"):
        guarded.attach("run-1", "mixtera_wrong")
    assert [entry["outcome"] for entry in guarded.entries()[before:]] == ["WrongToken"]


@pytest.mark.parametrize(
    ("role", "method", "path", "body"),
    [
        ("read", "POST", f"{RUN}/feedback", FEEDBACK),
        ("read", "POST", f"{RUN}/checkpoint", {"position": 0}),
        ("read", "POST", f"{RUN}/skip", {"skips": [], "most": 1}),
        ("read", "POST", f"{RUN}/read", {"batch_size": 1, "stop": 1, "most_skipped": 1}),
        ("read", "POST", f"{RUN}/join", {"world_size": 1, "batch_size": 1, "start": 0}),
        ("read", "POST", f"{RUN}/promise", {"first": 0, "rounds": 1 << 40}),
        ("read", "POST", "/v1/jobs", {"job": "new", "plan": "plan"}),
        ("train", "POST", "/v1/jobs", {"job": "run-2", "plan": "plan"}),
    ],
)
def test_a_role_may_no_more_than_it_may(role: str, method: str, path: str, body: Any, guarded: Service) -> None:
    assert refused(guarded.ask(method, path, body, TOKENS[role])) == (403, "WrongRole")
    last = guarded.entries()[-1]
    assert (last["who"], last["outcome"], last["status"]) == (f"a {role}", "WrongRole", 403)


def test_a_role_may_what_those_below_it_may(guarded: Service) -> None:
    assert guarded.ask("POST", f"{RUN}/promise", ASKED, TOKENS["train"])[0] == 200
    for role in TOKENS:
        assert guarded.ask("GET", f"{RUN}/status", None, TOKENS[role])[0] == 200
        assert guarded.ask("POST", f"{RUN}/promise", ASKED, TOKENS[role])[0] == 200


def test_a_job_that_a_token_may_not_see_is_as_good_as_none(guarded: Service) -> None:
    hidden = guarded.ask("GET", "/v1/jobs/other/status", None, TOKENS["train"])
    assert hidden == guarded.ask("GET", "/v1/jobs/nothing/status", None, TOKENS["train"])
    assert refused(hidden) == (404, "NoJob")
    assert guarded.ask("GET", "/v1/jobs/other/status", None, TOKENS["read"])[0] == 200
    seen = guarded.ask("GET", "/v1/jobs", None, TOKENS["train"])[1]["jobs"]
    assert [job["job"] for job in seen] == ["run-1"]


def test_an_admin_makes_jobs_of_plans_by_their_names(guarded: Service, plan: Plan) -> None:
    asked = {"job": "made", "plan": "plan"}
    status, answer = guarded.ask("POST", "/v1/jobs", asked, TOKENS["admin"])
    assert (status, answer["plan"]) == (200, plan.digest)
    assert refused(guarded.ask("POST", "/v1/jobs", asked, TOKENS["admin"])) == (409, "JobError")
    assert guarded.ask("GET", "/v1/jobs/made/status", None, TOKENS["admin"])[0] == 200


@pytest.mark.parametrize(
    "name", ["..", ".", "/etc", "../plan", "plan/../plan", "files", "", "a" * 101, "plan\x00", "ü"]
)
def test_no_path_of_a_client_is_a_plan(name: str, guarded: Service) -> None:
    status, kind = refused(guarded.ask("POST", "/v1/jobs", {"job": "never", "plan": name}, TOKENS["admin"]))
    assert (status, kind) in ((400, "WrongMessage"), (400, "PlanError"))
    assert not (guarded.jobs / "never").exists()


@pytest.mark.parametrize(
    "name", ["..", ".", "%2e%2e", "..%2frun-1", "%2fetc", "run-1%00", ".service", "a" * 5_000, "%ff"]
)
def test_no_path_of_a_client_is_a_job(name: str, guarded: Service) -> None:
    status, _ = guarded.ask("GET", f"/v1/jobs/{name}/attach", None, TOKENS["admin"])
    assert status == 404


@pytest.mark.parametrize(
    ("action", "body", "message"),
    [
        ("promise", b"", "Input data was truncated"),
        ("promise", b"{", "Input data was truncated"),
        ("promise", b"\xff\xfe", "JSON is malformed"),
        ("promise", [], "Expected `object`, got `array`"),
        ("promise", {"first": 0}, "missing required field `rounds`; the fields are first, rounds"),
        ("promise", {"first": 0, "rounds": 1, "wat": 1}, "unknown field `wat`; the fields are first, rounds"),
        ("promise", {"first": "0", "rounds": 1}, "Expected `int`, got `str` - at `$.first`"),
        ("promise", {"first": 0, "rounds": True}, "Expected `int`, got `bool` - at `$.rounds`"),
        ("promise", {"first": -1, "rounds": 1}, "Expected `int` >= 0 - at `$.first`"),
        ("promise", {"first": 0, "rounds": 1 << 60}, "Expected `int` <= 1099511627776 - at `$.rounds`"),
        ("promise", b'{"first": 0, "rounds": 1e400}', "Number out of range"),
        ("feedback", {**FEEDBACK, "loss_sum": [1.0]}, "loss_sum has 1 numbers, and the plan has 3 components"),
        ("feedback", {**FEEDBACK, "scalars": {"weights": [1.0]}}, "weights has 1 numbers"),
        ("feedback", {**FEEDBACK, "loss_sum": [None, 1.0, 1.0]}, "Expected `float`, got `null` - at `$.loss_sum[0]`"),
        ("feedback", {**FEEDBACK, "step": 1.5}, "Expected `int`, got `float` - at `$.step`"),
        ("checkpoint", {"position": 1 << 63}, "Expected `int` <="),
        ("join", {"world_size": 0, "batch_size": 1, "start": 0}, "Expected `int` >= 1 - at `$.world_size`"),
        ("alive", {"process": "p" * 201, "readers": []}, "Expected `str` of length <= 200"),
        ("promise", b"[" * 100_000, "Expected `object`, got `array`"),
        ("promise", b'{"first": ' + b"[" * 100_000, "Expected `int`, got `array`"),
    ],
)
def test_a_message_that_is_wrong_is_refused_and_says_what_is_allowed(
    action: str, body: Any, message: str, guarded: Service
) -> None:
    answer = guarded.ask("POST", f"{RUN}/{action}", body, TOKENS["train"])
    assert refused(answer) == (400, "WrongMessage")
    assert message in answer[1]["error"]["message"]
    assert guarded.entries()[-1]["outcome"] == "WrongMessage"


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
def test_a_message_that_a_page_could_send_without_asking_is_refused(media: str, guarded: Service) -> None:
    answer = guarded.ask("POST", f"{RUN}/promise", b"{}", TOKENS["train"], {"Content-Type": media})
    assert refused(answer) == (415, "WrongType")


def test_another_method_or_path_is_refused(guarded: Service) -> None:
    assert refused(guarded.ask("GET", "/")) == (404, "NoPath")
    assert refused(guarded.ask("GET", f"{RUN}/feedback", None, TOKENS["admin"])) == (405, "WrongMethod")
    assert refused(guarded.ask("DELETE", f"{RUN}/status", None, TOKENS["admin"])) == (405, "WrongMethod")
    assert refused(guarded.ask("GET", f"{RUN}/plan/99", None, TOKENS["read"])) == (404, "NoFile")


def raw(service: Service, content: bytes, more: Iterable[bytes] = ()) -> bytes:
    """What comes back to bytes as they are, until the other side is done."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=600) as connection:
        connection.settimeout(600)
        received = b""
        try:
            connection.sendall(content)
            for part in more:
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            while part := connection.recv(1 << 16):
                received += part
        except ConnectionResetError:
            pass
        return received


def head(length: str, token: str = TOKENS["train"]) -> bytes:
    return (
        f"POST {RUN}/feedback HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\n{length}\r\n\r\n"
    ).encode()


def test_a_message_of_a_gigabyte_is_refused_by_what_it_says_of_itself(guarded: Service) -> None:
    answer = raw(guarded, head("Content-Length: 1000000000"))
    assert b"HTTP/1.1 413" in answer
    assert b"a message has at most 1,048,576 bytes" in answer


def test_a_message_of_a_gigabyte_is_refused_while_it_comes(guarded: Service) -> None:
    chunk = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
    taken = iter(range(1_000))
    raw(guarded, head("Transfer-Encoding: chunked"), (chunk for _ in taken))
    assert next(taken) < 100, "only what lay in buffers was taken"
    assert guarded.entries()[-1]["outcome"] == "TooLarge"
    assert guarded.ask("GET", "/v1/health")[0] == 200


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        head("Content-Length: -1"),
        head("Content-Length: 5\r\nContent-Length: 6"),
        head("Content-Length: 99999999999999999999999999"),
        head("Transfer-Encoding: chunked\r\nContent-Length: 3"),
    ],
)
def test_what_is_no_request_ends_its_connection_and_nothing_else(content: bytes, guarded: Service) -> None:
    answer = raw(guarded, content, [b"zzz\r\n\r\n"])
    assert b"HTTP/1.1 2" not in answer
    assert guarded.ask("GET", "/v1/health")[0] == 200


def test_headers_of_many_bytes_are_refused(guarded: Service) -> None:
    answer = guarded.ask("GET", f"{RUN}/status", None, TOKENS["read"], {"X-Much": "x" * 20_000})
    assert refused(answer) == (431, "TooLarge")


def until_refused(service: Service, token: str, times: int = 1) -> list[int]:
    """The answers to requests one after the other until so many were too many; a busy machine sends them slowly."""
    answers: list[int] = []
    while answers.count(429) < times:
        assert len(answers) < 10_000
        answers.append(service.ask("GET", "/v1/jobs", None, token)[0])
    return answers


def test_too_many_wrong_tokens_of_an_address_are_refused_for_a_while(tmp_path: Path, plan: Plan) -> None:
    tokens = tokens_file(tmp_path / "tokens.toml")
    with Service(tmp_path / "service", "--tokens", tokens).start() as service:
        begun = time.monotonic()
        answers = until_refused(service, "mixtera_guess", 5)
        seconds = time.monotonic() - begun
        assert answers[:20] == [401] * 20
        assert set(answers) == {401, 429}
        told = sum(entry["outcome"] == "TooOften" for entry in service.entries())
        assert 1 <= told <= 1 + seconds, "the log is not flooded"
        assert service.ask("GET", "/v1/jobs", None, TOKENS["read"])[0] == 200, "who has a token comes in"


def test_too_many_requests_of_a_token_are_refused_for_a_moment(tmp_path: Path, plan: Plan) -> None:
    tokens = tokens_file(tmp_path / "tokens.toml")
    with Service(tmp_path / "service", "--tokens", tokens, "--rate", "1").start() as service:
        answers = until_refused(service, TOKENS["read"])
        assert answers[:4] == [200] * 4
        assert answers[-1] == 429
        assert service.ask("GET", "/v1/jobs", None, TOKENS["admin"])[0] == 200
        url = service.create("run", plan)
        with Job.attach(url, TOKENS["read"], patience=300.0) as job:  # a client waits, and comes in
            assert job.status()["step"] == -1


def test_rates_fill_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("mixtera.service.rates.time", SimpleNamespace(monotonic=lambda: now))
    rates = Rates(100.0, 2.0)
    assert [rates.take("a"), rates.take("a")] == [0.0, 0.0]
    assert rates.take("a") == pytest.approx(0.01)
    assert rates.take("b") == 0.0
    now += 0.004
    assert rates.take("a") == pytest.approx(0.006)
    now += 0.0061
    assert rates.take("a") == 0.0
    now += 1000
    assert [rates.take("a") == 0.0 for _ in range(3)] == [True, True, False]


def test_a_service_without_tokens_answers_to_its_own_name_only(service: Service) -> None:
    assert service.ask("GET", "/v1/jobs", headers={"Host": f"localhost:{service.port}"})[0] == 200
    assert refused(service.ask("GET", "/v1/jobs", headers={"Host": "evil.example"})) == (421, "WrongHost")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "can be reached from other machines, and there are no tokens (--tokens) and no TLS"),
        (["--host", "0.0.0.0", "--tokens", "TOKENS"], "there are no TLS (--tls-cert)"),
        (["--tls-cert", "nothing.pem"], "TLS needs both --tls-cert and --tls-key"),
        (["--client-ca", "nothing.pem"], "--client-ca is for TLS"),
        (["--tokens", "nothing.toml"], "the tokens nothing.toml cannot be read"),
        (["--tls-cert", "nothing.pem", "--tls-key", "nothing.pem"], "these are PEM files"),
    ],
)
def test_a_service_that_would_let_strangers_in_does_not_start(options: list[str], message: str, tmp_path: Path) -> None:
    tokens = tokens_file(tmp_path / "tokens.toml")
    words = [tokens if word == "TOKENS" else word for word in options]
    done = run(["serve", "--jobs", str(tmp_path / "jobs"), *words])
    assert done.returncode in (1, 3)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_has_one_service(service: Service) -> None:
    done = run(["serve", "--jobs", str(service.jobs)])
    assert done.returncode == 1
    assert f"in use by the service {service.url} (process {service.process.pid} on " in done.stderr
    assert "end that first, or serve another directory" in done.stderr
    service.kill()
    service.start()
    assert service.ask("GET", "/v1/health")[0] == 200


def test_an_address_that_is_taken_is_told(service: Service, tmp_path: Path) -> None:
    done = run(["serve", "--jobs", str(tmp_path / "other"), "--port", str(service.port)])
    assert (done.returncode, done.stdout) == (3, "")
    assert f"cannot listen at 127.0.0.1:{service.port}: Address already in use; give another --port" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing required field `token`"),
        ("token = []", "has no token"),
        ("nonsense", "it is TOML"),
        ('[[token]]\nname = "a"\nhash = "plain"\nrole = "read"', "$.token[0].hash"),
        ('[[token]]\nname = "a"\nrole = "read"\ntoken = "x"', "token"),
        (entry("a", "x", "root", ["*"]), "Invalid enum value 'root'"),
        (entry("a", "x", "read", ["*"]) + entry("a", "y", "read", ["*"]), "two tokens have the name 'a'"),
        (entry("a", "x", "read", ["*"]) + entry("b", "x", "read", ["*"]), "two tokens have the hash"),
    ],
)
def test_tokens_that_are_not_written_as_they_should_be(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(text)
    with pytest.raises(JobError) as caught:
        load(str(file))
    assert message in str(caught.value)
    assert "tokens.toml" in str(caught.value)


def test_tokens_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(None) is None
    monkeypatch.setenv(VARIABLE, entry("a", "x", "read", ["web-*"]))
    tokens = load(None)
    assert isinstance(tokens, Tokens)
    found = tokens.identity(b"x")
    assert found is not None
    assert (found.sees("web-1"), found.sees("other"), found.may("read"), found.may("train")) == (
        True,
        False,
        True,
        False,
    )
    assert tokens.identity(b"y") is None


def test_a_token_is_made_and_let_in(tmp_path: Path, plan: Plan) -> None:
    file = tmp_path / "tokens.toml"
    made = run(["jobs", "token", "web trainer", "--role", "train", "--job", "run-*", "-o", str(file)])
    token = made.stdout.strip()
    assert token.startswith("mixtera_")
    assert token not in file.read_text()
    with Service(tmp_path / "service", "--tokens", str(file)).start() as service:
        with Job.attach(service.create("run-1", plan), token) as job:
            assert job.status()["step"] == -1
        assert json.loads(service.audit.read_text().splitlines()[0])["who"] == "web trainer"
        assert token not in service.audit.read_text()
