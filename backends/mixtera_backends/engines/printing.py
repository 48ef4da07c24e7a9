"""Engines that Mixtera prints SQL for, and does not run: `mixtera explain --sql --dialect`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NoReturn

import pyarrow as pa

from mixtera.contracts.engine import Gap
from mixtera.errors import EngineError

if TYPE_CHECKING:
    import ibis.expr.types as ir


class PrintingEngine:
    """An engine by its dialect alone; a subclass says its name."""

    name: str
    dialect: str
    gaps: ClassVar[Mapping[str, Gap]] = {
        "run": Gap("notimpl", "does not run it", "There was no server to try it with.")
    }

    def register(self, tables: Mapping[str, Sequence[str]], schemas: Mapping[str, pa.Schema]) -> None:
        """Nothing can be made known.

        Raises:
            EngineError: Always.
        """
        self._refuse()

    def batches(self, expression: ir.Table) -> Iterator[pa.RecordBatch]:
        """Nothing can be run.

        Raises:
            EngineError: Always.
        """
        self._refuse()

    def analyze(self, expression: ir.Table) -> str:
        """Nothing can be run.

        Raises:
            EngineError: Always.
        """
        self._refuse()

    def close(self) -> None:
        """Nothing is open."""

    def _refuse(self) -> NoReturn:
        raise EngineError(
            f"{self.name}: Mixtera prints its SQL (`mixtera explain SPEC --sql --dialect {self.name}`) and does not "
            "run it; give --engine another name: the reference of engines says which run"
        )
