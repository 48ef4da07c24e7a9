"""The JSON Schema of a spec, for editors."""

from __future__ import annotations

from itertools import combinations
from typing import Final

from mixtera.spec import keys
from mixtera.spec.keys import JsonSchema, Section
from mixtera.spec.storage import SECRET

_SCALAR: Final[JsonSchema] = {"type": ["string", "number", "boolean", "null"]}
_PREDICATE: Final[JsonSchema] = {
    "description": "A Python-style condition on properties, or a mapping {property: value or list of values}.",
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "minItems": 1, "items": _SCALAR}]},
        },
    ],
}


def _section(section: Section, **more: object) -> dict[str, object]:
    properties = {key.name: {"description": key.meaning, **key.schema} for key in section.keys if not key.later}
    schema: dict[str, object] = {"type": "object", "additionalProperties": False, "properties": properties, **more}
    return schema | ({"required": list(section.required)} if section.required else {})


def _one_of_parts(*, needed: bool) -> dict[str, object]:
    both: JsonSchema = {"not": {"required": ["components", "by"]}}
    needs: JsonSchema = {"anyOf": [{"required": ["components"]}, {"required": ["by"]}]}
    alone: JsonSchema = {"not": {"required": ["dynamic", "schedule"]}}
    weighted: JsonSchema = {"properties": {"components": {"items": {"required": ["weight"]}}}}
    return {
        "allOf": [both, needs, alone] if needed else [both],
        "dependentRequired": {"weights": ["by"], "schedule": ["components"]},
        "if": {"not": {"required": ["schedule"]}},
        "then": weighted,
    }


_ONE_ORIGIN: Final[JsonSchema] = {"oneOf": [{"required": ["path"]}, {"required": ["capture"]}]}
_FILES_OR_TABLE: Final[JsonSchema] = {
    "anyOf": [{"required": ["path"]}, {"required": ["table"]}],
    "dependentRequired": {"table": ["keys", "format"], "keys": ["table"]},
}
_FORMAT_OR_ENGINE: Final[JsonSchema] = {
    "oneOf": [{"required": ["format"]}, {"required": ["engine"]}],
    "dependentRequired": {"format": ["at"], "engine": ["name"], "name": ["engine"]},
}
_PLACES: Final[JsonSchema] = {
    "anyOf": [{"required": ["row"]}, {"required": ["offset"]}],
    "dependentRequired": {"offset": ["length"], "length": ["offset"]},
}
_ONE_BUDGET: Final[JsonSchema] = {
    "oneOf": [{"required": ["samples"]}, {"required": ["tokens"]}, {"required": ["steps", "batch"]}],
    "not": {"anyOf": [{"required": [other, "batch"]} for other in ("samples", "tokens")]},
}
_ONE_KIND: Final[JsonSchema] = {
    "allOf": [{"not": {"required": list(pair)}} for pair in combinations(("values", "temperature", "unimax"), 2)]
}
_ONE_START: Final[JsonSchema] = {
    "oneOf": [{"required": ["at"]}, {"required": ["step"]}],
    "dependentRequired": {"until": ["at", "ramp"], "until_step": ["step", "ramp"]},
    "if": {"required": ["ramp"]},
    "then": {"anyOf": [{"required": ["until"]}, {"required": ["until_step"]}]},
}


_STORAGE_OPTIONS: Final[JsonSchema] = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"not": {"pattern": SECRET}},
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}


def json_schema() -> dict[str, object]:
    """The JSON Schema (draft 2020-12) of a spec file, as JSON values.

    It knows the shape of a spec. What needs more than the file's shape (columns, plugins, types in predicates) is
    checked by `load` alone.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Mixtera spec",
        **_section(keys.SPEC, anyOf=[{"required": ["include"]}, {"required": ["sources", "mixture"]}]),
        "$defs": {
            "predicate": _PREDICATE,
            "tokens": _section(keys.TOKENS),
            "stream": _section(keys.STREAM),
            "source": _section(keys.SOURCE, **_FILES_OR_TABLE),
            "table": _section(keys.TABLE, **_FORMAT_OR_ENGINE),
            "table_keys": _section(keys.TABLE_KEYS, **_PLACES),
            "property": _section(keys.PROPERTY, **_ONE_ORIGIN),
            "computed": _section(keys.COMPUTED),
            "sidecar": _section(keys.SIDECAR),
            "sidecar_property": _section(keys.SIDECAR_PROPERTY),
            "bad_samples": _section(keys.BAD_SAMPLES),
            "limit": _section(keys.LIMIT, minProperties=1),
            "mixture": _section(keys.MIXTURE, **_one_of_parts(needed=True)),
            "dynamic": _section(keys.DYNAMIC),
            "component": _section(keys.COMPONENT, **_one_of_parts(needed=False)),
            "weights": {
                "anyOf": [{"enum": list(keys.WEIGHTINGS)}, _section(keys.WEIGHTS, minProperties=1, **_ONE_KIND)]
            },
            "unimax": _section(keys.UNIMAX),
            "change": _section(keys.CHANGE, **_ONE_START),
            "budget": _section(keys.BUDGET, **_ONE_BUDGET),
            "order": _section(keys.ORDER),
            "own_order": _section(keys.OWN_ORDER, minProperties=1),
            "sort_key": _section(keys.SORT_KEY),
            "holdout": _section(keys.HOLDOUT),
            "exclusion": _section(keys.EXCLUSION),
            "storage_options": _STORAGE_OPTIONS,
        },
    }
