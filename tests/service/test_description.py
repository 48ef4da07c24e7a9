"""The description of the service is true: requests that are made of it, and their like, are answered as it says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mixtera.jobs.messages import JSON
from mixtera.plan import Plan
from mixtera.service.actions import ACTIONS
from tests.service.running import TOKENS, Service, tokens_file

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory, static_plan: Plan) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("fuzzed")
    with Service(root, "--tokens", tokens_file(root / "tokens.toml"), "--plans", str(root)).start() as running:
        running.create("run", static_plan)
        yield running


def test_every_action_is_described(fuzzed: Service) -> None:
    status, document = fuzzed.ask("GET", "/openapi.json")
    assert status == 200
    described = {
        operation["operationId"]: operation for path in document["paths"].values() for operation in path.values()
    }
    assert set(described) == {action.name for action in ACTIONS}
    for action in ACTIONS:
        assert ("requestBody" in described[action.name]) == (action.message is not None)
        assert ("security" in described[action.name]) == (action.role is not None)
        assert (JSON in described[action.name]["responses"]["200"]["content"]) == (not isinstance(action.answer, str))


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *((action.name, GenerationMode.POSITIVE) for action in ACTIONS),
        *((action.name, GenerationMode.NEGATIVE) for action in ACTIONS if action.message or "{" in action.path),
    ],
)
def test_requests_that_are_made_of_the_description(name: str, mode: GenerationMode, fuzzed: Service) -> None:
    schema = schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json")
    operation = next(iter(schema.include(operation_id=name).get_all_operations())).ok()
    headers = {"Authorization": f"Bearer {TOKENS['admin']}"}

    @settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        if case.path_parameters and "job" in case.path_parameters and mode is GenerationMode.POSITIVE:
            case.path_parameters["job"] = "run"
        case.call_and_validate(headers=headers, checks=CHECKS, timeout=600)

    ask()
    assert fuzzed.process is not None
    assert fuzzed.process.poll() is None
    assert "Traceback" not in fuzzed.stderr()
    assert fuzzed.ask("GET", "/v1/jobs/run/status", None, TOKENS["read"])[0] == 200
