"""What a compilation may hold in memory: bounds the engine, and refuses what cannot fit before it is begun.

Long arrays, one number for each sample, lie in files and are worked on in blocks. What is left in memory grows with
segments and entries, and with samples only where a component is sorted or samples are excluded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mixtera.compiler.components import Member
from mixtera.compiler.files import FileIndex
from mixtera.contracts.engine import Engine, Limited
from mixtera.errors import EngineError, PlanError

_MEBI: Final = 1 << 20
_PROCESS_BYTES: Final = 192 * _MEBI
"""Python, Arrow, Ibis and the code of an engine in the process."""
_BLOCK_BYTES: Final = 96 * _MEBI
"""Rows that are worked on at a time."""
_ENGINE_BYTES: Final = 96 * _MEBI
"""An engine needs as much to read Parquet in two threads."""
_SEGMENT_BYTES: Final = 160
_FILE_BYTES: Final = 1 << 10
_ENTRY_BYTES: Final = 64
_SORTED_BYTES: Final = 40
_EXCLUDED_BYTES: Final = 2


@dataclass(frozen=True)
class Room:
    """Memory of a compilation.

    Attributes:
        limit: Bytes that it may take; None for no limit but the engine's own.
    """

    limit: int | None

    def bound(self, engine: Engine, index: FileIndex) -> None:
        """Give the engine what the files of the plan leave of the room.

        Raises:
            EngineError: The engine takes no limit.
            PlanError: They leave too little.
        """
        if self.limit is None:
            return
        if not isinstance(engine, Limited):
            raise EngineError(
                f"the engine {engine.name!r} takes no limit on its memory from here: configure it where it runs, and "
                "leave --max-memory (`max_memory`) out"
            )
        mine = self._mine(index)
        what = f"{len(index.rows):,} files in {len(index.segments.rows):,} segments"
        self._check(mine + _ENGINE_BYTES, what)
        engine.limit_memory(self.limit - mine)

    def check_entries(self, index: FileIndex, entries: int) -> None:
        """Refuse more entries (pairs of a component and a segment) than fit.

        Raises:
            PlanError: They do not fit.
        """
        self._check(self._mine(index) + entries * _ENTRY_BYTES, f"{entries:,} entries (a component in a segment)")

    def check_members(self, index: FileIndex, chosen: Sequence[Member], excluded: bool) -> None:
        """Refuse what is done with all samples of a component at once, and does not fit.

        Raises:
            PlanError: It does not fit.
        """
        mine = self._mine(index)
        for member in chosen:
            if member.leaf.sorted_by:
                size = member.samples * (_SORTED_BYTES + 8 * len(member.leaf.sorted_by))
                self._check(mine + size, f"sorting the {member.samples:,} samples of component {member.name!r} (`by`)")
        if excluded:
            samples = sum(member.samples for member in chosen)
            self._check(mine + samples * _EXCLUDED_BYTES, f"excluding some of {samples:,} samples")

    def _mine(self, index: FileIndex) -> int:
        tables = len(index.segments.rows) * _SEGMENT_BYTES + len(index.rows) * _FILE_BYTES
        return _PROCESS_BYTES + _BLOCK_BYTES + tables

    def _check(self, needed: int, what: str) -> None:
        if self.limit is not None and needed > self.limit:
            raise PlanError(
                f"the plan does not fit into {_text(self.limit)} of memory (--max-memory): {what} need "
                f"{_text(needed)}; allow at least so much, or plan for fewer samples at a time"
            )


def _text(size: int) -> str:
    return f"{-(-size // _MEBI):,} MiB"
