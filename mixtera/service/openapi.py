"""The description of the service, made of the table of its actions and the types of its messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from mixtera import __version__
from mixtera.jobs.messages import JSON, NAME_PATTERN, Refusal
from mixtera.service.endpoint import Action

_PARAMETER: Final = re.compile(r"{(\w+)(?::(\w+))?}")
_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "job": {"type": "string", "pattern": f"^{NAME_PATTERN}$"},
    "number": {"type": "integer", "minimum": 0, "maximum": 1000},
}
_REFUSALS: Final[dict[str, str]] = {
    "400": "the message is not what is expected",
    "401": "no token, or an unknown one",
    "403": "the token does not allow it",
    "404": "there is no such job, or the token may not see it",
    "408": "the message came in too slowly",
    "409": "the job refuses",
    "413": "the message is too long",
    "415": "the message is not JSON",
    "421": "a service without tokens was called by another name than that of this machine",
    "429": "too many requests",
    "431": "the headers are too long",
    "503": "the job's directory cannot be written now, or the service is busy: try again",
}


def description(actions: Sequence[Action]) -> dict[str, Any]:
    """The OpenAPI document."""
    types = [kind for action in actions for kind in (action.message, action.answer) if isinstance(kind, type)]
    _, components = msgspec.json.schema_components([*types, Refusal], ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for action in actions:
        paths.setdefault(_PARAMETER.sub(r"{\1}", action.path), {})[action.method.lower()] = _operation(action)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Mixtera", "version": __version__, "description": "Jobs over HTTP."},
        "paths": paths,
        "components": {
            "schemas": _modern(components),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _modern(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """A schema that tools for OpenAPI take: the items of a tuple have one schema, of which each fits a part."""
    if isinstance(schema, list):
        return [_modern(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _modern(value) for key, value in schema.items()}
    parts = found.pop("prefixItems", found.get("items"))
    if isinstance(parts, list):
        found["items"] = {"anyOf": parts}
    return found


def _operation(action: Action) -> dict[str, Any]:
    refusals = {status: _answer(meaning, Refusal) for status, meaning in _REFUSALS.items()}
    found: dict[str, Any] = {
        "operationId": action.name,
        "summary": " ".join(action.summary.split()),
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": _SCHEMAS[name]}
            for name, _ in _PARAMETER.findall(action.path)
        ],
        "responses": {"200": _answer("done", action.answer), **refusals},
    }
    if action.role is not None:
        found["security"] = [{"token": []}]
        found["x-mixtera-role"] = action.role
    if action.message is not None:
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": _reference(action.message)}}}
    return found


def _answer(meaning: str, kind: type[Any] | str) -> dict[str, Any]:
    if isinstance(kind, str):
        return {"description": meaning, "content": {kind: {"schema": {"type": "string", "format": "binary"}}}}
    return {"description": meaning, "content": {JSON: {"schema": _reference(kind)}}}


def _reference(kind: type[Any]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
