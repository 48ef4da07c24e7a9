"""Every exception that Mixtera raises on purpose.

::

    MixteraError
    ├── SpecError        (ValueError)      the spec file is wrong; carries every issue of it
    ├── SampleError      (ValueError)      a record cannot be read: malformed, content missing, wrong type
    ├── CatalogError     (RuntimeError)    not indexed, indexed differently, not writable
    ├── PlanError        (ValueError)      a plan cannot be compiled, opened or read
    │   └── LockError                      what a spec compiles to has moved since it was locked; a lock cannot be read
    ├── TokenizerError   (ValueError)      a tokenizer cannot be opened, or cannot encode what it is given
    ├── AlgorithmError   (ValueError)      a mixing algorithm cannot use what it is given: options, feedback, losses
    ├── StateError       (ValueError)      a resume state of another plan, or not a state at all
    ├── StorageError     (OSError)         a file is missing, changed, unreadable; a disk is full
    │   └── MissingError               there is no such file, or a pattern matches none
    ├── EngineError      (RuntimeError)    the query engine failed
    ├── JobError         (RuntimeError)    a job cannot be opened, belongs to another plan, or refuses what it is told
    │   └── ServiceError                   the service that has the job cannot be reached, or refuses
    └── PluginError      (LookupError)     no such format, storage, engine, tokenizer, …, or two of one name

Each message says what is wrong, where, what is allowed, and what to do. `exit_code` is what the command line
returns for it: 1 when the input is wrong, 3 when something outside failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


class MixteraError(Exception):
    """Base of every exception that Mixtera raises on purpose."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True, slots=True, order=True)
class Issue:
    """One problem of a spec file, at its place.

    Attributes:
        file: Path of the file as the user gave it.
        line: Line, from 1.
        column: Column, from 1, in characters.
        message: What is wrong, what is allowed, and the nearest name where there is one.
    """

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class SpecError(MixteraError, ValueError):
    """A spec is wrong. `issues` holds all of its problems, in the order of the file."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        self.issues = tuple(sorted(issues))
        super().__init__("\n".join(str(issue) for issue in self.issues))


class SampleError(MixteraError, ValueError):
    """A record cannot be read as the spec says. The message names source, file, row and reason."""


class CatalogError(MixteraError, RuntimeError):
    """The catalog does not hold what is asked, or cannot be written."""


class PlanError(MixteraError, ValueError):
    """A plan cannot be compiled, opened or read."""


class LockError(PlanError):
    """A spec does not compile to what its lock says, or a lock cannot be read.

    Attributes:
        difference: What moved, as `mixtera.lockfile.difference.LockDifference.to_json` has it; empty where the lock
            cannot be read.
    """

    def __init__(self, message: str, difference: Mapping[str, object] | None = None) -> None:
        self.difference = dict(difference or {})
        super().__init__(message)


class TokenizerError(MixteraError, ValueError):
    """A tokenizer cannot be found or opened, lacks a token that is asked of it, or cannot encode what it is given."""


class AlgorithmError(MixteraError, ValueError):
    """A mixing algorithm cannot use what it is given: options, bounds, feedback, a state, or recorded losses."""


class StateError(MixteraError, ValueError):
    """A resume state does not belong to this plan, or is not a state."""


class StorageError(MixteraError, OSError):
    """A file is missing, changed or cannot be read or written."""

    exit_code = 3


class MissingError(StorageError):
    """There is no such file, or a pattern matches none; the storage itself has answered."""


class EngineError(MixteraError, RuntimeError):
    """The query engine failed."""

    exit_code = 3


class JobError(MixteraError, RuntimeError):
    """A job cannot be opened, belongs to another plan, or refuses what it is told."""


class ServiceError(JobError):
    """The service that has a job cannot be reached, or refuses."""

    exit_code = 3


class PluginError(MixteraError, LookupError):
    """No format, storage, engine, algorithm or kind of tokenizers of that name, or two of the same name."""
