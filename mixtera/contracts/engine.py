"""Engine: runs an Ibis expression over the catalog's Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, runtime_checkable

import pyarrow as pa

if TYPE_CHECKING:
    import ibis.expr.types as ir


@runtime_checkable
class Engine(Protocol):
    """One query engine. Use it as a context manager; `close` ends its session.

    Attributes:
        name: Its name, that of its entry point.
        dialect: The name that Ibis has for its SQL; empty where it reads none.
    """

    name: str
    dialect: str

    def register(self, tables: Mapping[str, Sequence[str]], schemas: Mapping[str, pa.Schema]) -> None:
        """Make the catalog's tables known: table name → Parquet files, read in place or copied."""

    def batches(self, expression: ir.Table) -> Iterator[pa.RecordBatch]:
        """Run an unbound expression and stream its rows, in any order.

        Raises:
            EngineError: The engine failed; the message is the engine's own.
        """

    def analyze(self, expression: ir.Table) -> str:
        """Run the expression and return the engine's own account of it, as text."""

    def close(self) -> None:
        """End the session."""


@dataclass(frozen=True, slots=True)
class EngineOption:
    """An option of an engine's sessions. None is a secret.

    Attributes:
        name: Its name.
        kind: `text`, `count` (a whole number from 1), `bytes` (a count, or such as 8GiB).
        meaning: What it says, in one sentence.
        variable: The environment variable that counts where the option is not given.
    """

    name: str
    kind: Literal["text", "count", "bytes"]
    meaning: str
    variable: str


@runtime_checkable
class Configurable(Protocol):
    """An engine that takes options.

    Attributes:
        options: Those it knows.
    """

    options: tuple[EngineOption, ...]

    def configured(self, options: Mapping[str, str]) -> Engine:
        """A session with some options, as they are written.

        Raises:
            PluginError: There is no such option, or a value is not of its kind.
        """


CAPABILITIES: Final[Mapping[str, str]] = {
    "sql": "prints SQL (`mixtera explain --sql --dialect`)",
    "run": "compiles plans, answers `mixtera catalog query`",
    "any_year": "compares dates and moments of any year",
    "nul": "holds texts with the character NUL",
    "long_names": "knows sources and properties of more than 63 bytes",
}
"""What engines can do, for the table of the documentation and for `mixtera.testing.engine.EngineLaws`."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something of `CAPABILITIES` that an engine cannot do; the laws see to it that it fails as is said here.

    Attributes:
        kind: `notimpl`: it could, Mixtera does not yet. `notyet`: the engine, or Ibis, does not yet. `never`: it has
            no meaning there.
        error: A pattern that the message of the `EngineError` holds.
        why: The reason, in one sentence.
    """

    kind: Literal["notimpl", "notyet", "never"]
    error: str
    why: str


@runtime_checkable
class Declaring(Protocol):
    """An engine that says what it cannot do.

    Attributes:
        gaps: By name of the capability.
    """

    gaps: Mapping[str, Gap]


def gaps_of(engine: Engine | type[Engine]) -> Mapping[str, Gap]:
    """The gaps that an engine declares."""
    return engine.gaps if isinstance(engine, Declaring) else {}


@runtime_checkable
class Limited(Protocol):
    """An engine whose memory can be bounded by the process that uses it."""

    def limit_memory(self, size: int) -> None:
        """Hold no more than so many bytes from now on; what does not fit goes to disk, or is refused."""
