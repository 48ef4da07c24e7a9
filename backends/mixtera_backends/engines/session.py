"""What the engines share: the vendor's package when it is needed, its errors in Mixtera's words, answers of the right
types.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

import pyarrow as pa

from mixtera.errors import EngineError
from mixtera.registry import missing

if TYPE_CHECKING:
    import ibis.expr.types as ir


def package(name: str, engine: str) -> ModuleType:
    """The package that an engine needs, imported when its session begins.

    Raises:
        PluginError: It is not installed; the message names the extra that brings it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise missing(f"engine {engine!r}", engine, error) from error


@contextmanager
def engine_errors(engine: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn what an engine raises into `EngineError`, with the engine's own words."""
    from ibis.common.exceptions import IbisError

    try:
        yield
    except (*kinds, IbisError, pa.ArrowException, OSError) as error:
        raise EngineError(f"{engine}: {error}") from error


def answer_schema(expression: ir.Table) -> pa.Schema:
    """Names and types of the rows that an expression promises."""
    schema: pa.Schema = expression.schema().to_pyarrow()
    return pa.schema([field.with_nullable(True) for field in schema])


def conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns of a batch that were promised, in their order and with their types.

    Raises:
        EngineError: One is not there.
    """
    if lacking := [name for name in schema.names if name not in batch.schema.names]:
        raise EngineError(f"the engine's answer lacks {', '.join(lacking)}: it cannot hold values of their types")
    columns = [batch.column(field.name).cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
