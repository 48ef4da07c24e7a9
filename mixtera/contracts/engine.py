"""Engine: runs an Ibis expression over the catalog's Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import pyarrow as pa

if TYPE_CHECKING:
    import ibis.expr.types as ir


@runtime_checkable
class Engine(Protocol):
    """One query engine. Use it as a context manager; `close` ends its session."""

    name: str
    dialect: str

    def register(self, tables: Mapping[str, Sequence[str]], schemas: Mapping[str, pa.Schema]) -> None:
        """Make the catalog's tables known: table name → Parquet files, read in place."""

    def batches(self, expression: ir.Table) -> Iterator[pa.RecordBatch]:
        """Run an unbound expression and stream its rows, in any order.

        Raises:
            EngineError: The engine failed; the message is the engine's own.
        """

    def analyze(self, expression: ir.Table) -> str:
        """Run the expression and return the engine's own account of it, as text."""

    def close(self) -> None:
        """End the session."""


@runtime_checkable
class Limited(Protocol):
    """An engine whose memory can be bounded by the process that uses it."""

    def limit_memory(self, size: int) -> None:
        """Hold no more than so many bytes from now on; what does not fit goes to disk, or is refused."""
