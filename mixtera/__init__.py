"""Mixtera: a data plane for foundation-model training.

The public names are loaded when they are first used, so that `import mixtera` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mixtera.catalog import Catalog, IndexReport
    from mixtera.compiler import compile, lock
    from mixtera.errors import (
        AlgorithmError,
        CatalogError,
        EngineError,
        Issue,
        JobError,
        LockError,
        MixteraError,
        PlanError,
        PluginError,
        SampleError,
        ServiceError,
        SpecError,
        StateError,
        StorageError,
        TokenizerError,
    )
    from mixtera.explanation.explain import Explanation, explain
    from mixtera.jobs import Job
    from mixtera.lockfile import Lock
    from mixtera.plan import Plan
    from mixtera.spec import Spec, load
    from mixtera.stream import Stream

__version__: Final = "0.1.0"

_HOMES: Final = {
    "Catalog": "mixtera.catalog",
    "IndexReport": "mixtera.catalog",
    "compile": "mixtera.compiler",
    "lock": "mixtera.compiler",
    "AlgorithmError": "mixtera.errors",
    "CatalogError": "mixtera.errors",
    "EngineError": "mixtera.errors",
    "Issue": "mixtera.errors",
    "JobError": "mixtera.errors",
    "LockError": "mixtera.errors",
    "MixteraError": "mixtera.errors",
    "PlanError": "mixtera.errors",
    "PluginError": "mixtera.errors",
    "SampleError": "mixtera.errors",
    "ServiceError": "mixtera.errors",
    "SpecError": "mixtera.errors",
    "StateError": "mixtera.errors",
    "StorageError": "mixtera.errors",
    "TokenizerError": "mixtera.errors",
    "Explanation": "mixtera.explanation",
    "explain": "mixtera.explanation",
    "Job": "mixtera.jobs",
    "Lock": "mixtera.lockfile",
    "Plan": "mixtera.plan",
    "Spec": "mixtera.spec",
    "load": "mixtera.spec",
    "Stream": "mixtera.stream",
}

__all__ = [
    "AlgorithmError",
    "Catalog",
    "CatalogError",
    "EngineError",
    "Explanation",
    "IndexReport",
    "Issue",
    "Job",
    "JobError",
    "Lock",
    "LockError",
    "MixteraError",
    "Plan",
    "PlanError",
    "PluginError",
    "SampleError",
    "ServiceError",
    "Spec",
    "SpecError",
    "StateError",
    "StorageError",
    "Stream",
    "TokenizerError",
    "compile",
    "explain",
    "load",
    "lock",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the names have types of their own, above
    if name not in _HOMES:
        raise AttributeError(f"module 'mixtera' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
