"""What an embedded engine may take of the machine: its processors, its memory, and a place to spill to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Final, Self

from mixtera.contracts.engine import EngineOption, Gap
from mixtera.errors import PluginError
from mixtera.formats.temporary import size_of

MOST_MEMORY: Final = 2 << 30
"""Bytes that an engine takes by itself at most: labels are streamed, so that more would make nothing faster."""
_LEAST_MEMORY: Final = 256 << 20
_CGROUP: Final = Path("/sys/fs/cgroup")

THREADS: Final = EngineOption(
    "threads", "count", "Threads; by default the processors that this process may use.", "MIXTERA_ENGINE_THREADS"
)
MEMORY: Final = EngineOption(
    "memory_limit",
    "bytes",
    "What it may hold before it spills, such as 8GiB; by default half of the machine's memory, at most 2 GiB.",
    "MIXTERA_ENGINE_MEMORY_LIMIT",
)
SPILL: Final = EngineOption(
    "spill_directory",
    "text",
    "Where it spills to, in a directory of its own that goes with it; by default the system's temporary directory.",
    "MIXTERA_ENGINE_SPILL_DIRECTORY",
)
LIMITS: Final = (THREADS, MEMORY, SPILL)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an engine may take.

    Attributes:
        threads: Threads.
        memory_bytes: Bytes that it may hold before it spills.
        spill_directory: Where directories for spilling are made; None: the system's temporary directory.
    """

    threads: int
    memory_bytes: int
    spill_directory: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, str], known: Sequence[EngineOption] = LIMITS) -> Limits:
        """The limits by what is given, else by the environment, else by the machine.

        Args:
            given: Options by their names.
            known: Those that the engine takes.

        Raises:
            PluginError: A value is not of its option's kind, or there is no such option.
        """
        unknown = sorted(set(given) - {option.name for option in known})
        if unknown:
            raise PluginError(f"there is no engine option {unknown[0]!r}; allowed: {', '.join(o.name for o in known)}")
        threads, memory, spill = (_text(option, given) for option in LIMITS)
        if spill is not None and not Path(spill).is_dir():
            raise PluginError(f"{_called(SPILL, given)} is {spill!r}, which is no directory; make it, or name another")
        return cls(
            processors() if threads is None else _count(threads, _called(THREADS, given)),
            min(MOST_MEMORY, memory_bytes() // 2) if memory is None else _bytes(memory, _called(MEMORY, given)),
            spill,
        )

    @contextmanager
    def spilling(self, engine: str) -> Iterator[str]:
        """A directory to spill to, removed at the end."""
        with TemporaryDirectory(prefix=f"mixtera-{engine}-", dir=self.spill_directory) as directory:
            yield directory


def processors() -> int:
    """Processors that this process may use: of its affinity, and of the quota of its container."""
    allowed = len(os.sched_getaffinity(0))
    quota, _, period = _first_line(_CGROUP / "cpu.max").partition(" ")
    if quota.isdecimal() and period.isdecimal() and int(period):
        allowed = min(allowed, -(-int(quota) // int(period)))
    return max(1, allowed)


def memory_bytes() -> int:
    """Memory that this process may use: that of the machine, or what its container is limited to."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [_first_line(path) for path in (_CGROUP / "memory.max", _CGROUP / "memory" / "memory.limit_in_bytes")]
    return max(_LEAST_MEMORY, min([machine, *(int(limit) for limit in limits if limit.isdecimal())]))


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return ""


def _text(option: EngineOption, given: Mapping[str, str]) -> str | None:
    return given.get(option.name) or os.environ.get(option.variable) or None


def _called(option: EngineOption, given: Mapping[str, str]) -> str:
    return f"engine option {option.name!r}" if given.get(option.name) else option.variable


def _count(text: str, called: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise PluginError(f"{called} is {text!r}: it must be a whole number from 1")
    return int(text)


def _bytes(text: str, called: str) -> int:
    try:
        return size_of(text)
    except ValueError as error:
        raise PluginError(f"{called}: {error}") from error


class Limited:
    """An engine inside this process whose session has limits, and whatever is to be closed with it."""

    options: ClassVar[tuple[EngineOption, ...]] = LIMITS
    gaps: ClassVar[Mapping[str, Gap]] = {}

    def __init__(self, **options: str | int) -> None:
        """Make a session; its package is loaded when it is first used.

        Args:
            options: `threads`, `memory_limit`, `spill_directory`, as far as the engine has them.
        """
        self._limits = Limits.of({name: str(value) for name, value in options.items()}, self.options)
        self._open = ExitStack()

    def configured(self, options: Mapping[str, str]) -> Self:
        """A session with these options."""
        return type(self)(**options)
