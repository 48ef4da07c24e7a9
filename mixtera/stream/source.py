"""Where the batches of a stream come from: they are read here (`mixtera.stream.batches.Batches`), or elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from mixtera.artifact.model import PlanData
from mixtera.stream.consumer import Consumer
from mixtera.stream.guide import Guide
from mixtera.stream.skips import Skips
from mixtera.stream.statistics import Work
from mixtera.stream.traffic import Traffic


class OpenBatches(Protocol):
    """The batches of one reader, by position, ascending.

    Attributes:
        process: The process that made it, and that it belongs to.
    """

    process: int

    def at(self, position: int) -> pa.RecordBatch:
        """The batch that begins at a position."""

    def traffic(self) -> Traffic:
        """What was asked of storages until now."""

    def work(self) -> Work:
        """What was done in the background until now."""

    def close(self) -> None:
        """Let everything go, and wait for it; harmless in another process than the one that made it."""

    def abandon(self) -> None:
        """Let everything go by itself, soon, and wait for nothing.

        The garbage collector calls this, in any thread and in the middle of anything: locks may be held here that the
        threads in the background need, in order to end, too.
        """


class BatchSource(Protocol):
    """Opens the batches of one reader, from the consumer's first on."""

    def __call__(
        self,
        data: PlanData,
        consumer: Consumer,
        columns: Sequence[str],
        budget_bytes: int,
        guide: Guide | None,
        skips: Skips | None,
    ) -> OpenBatches:
        """Open them; see `mixtera.stream.batches.Batches`."""
