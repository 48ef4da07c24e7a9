"""Who may do what: bearer tokens with roles, kept as hashes.

::

    [[token]]
    name = "trainer-of-web"          # stands in the audit log
    hash = "sha256:…"                # `mixtera jobs token` makes a token and its hash
    role = "train"                   # read, train or admin
    jobs = ["web-*"]                 # names of jobs, with * and ?; all by default

Tokens are 256 random bits, so a plain SHA-256 of them gives nothing away and costs a request a microsecond.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from mixtera.errors import JobError, StorageError

VARIABLE: Final = "MIXTERA_TOKENS"
"""Environment variable: the content of such a file."""
Role = Literal["read", "train", "admin"]
ROLES: Final[tuple[Role, ...]] = ("read", "train", "admin")
"""Ascending: each may do what those before it may."""
_PREFIX: Final = "mixtera_"


class _Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    hash: Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
    role: Role
    jobs: tuple[str, ...] = ("*",)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: tuple[_Token, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks.

    Attributes:
        name: Name of the token, or of nobody.
        role: What it may do.
        jobs: Patterns of the names of jobs that it may see.
    """

    name: str
    role: Role
    jobs: tuple[str, ...] = ("*",)

    def may(self, role: Role) -> bool:
        """Whether a role is among what it may do."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, job: str) -> bool:
        """Whether it may know of a job."""
        return any(fnmatchcase(job, pattern) for pattern in self.jobs)


ANYBODY: Final = Identity("anybody", "train")
"""Whoever reaches a service without tokens: that listens on this machine only."""


class Tokens:
    """The tokens of a service."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._known = {bytes.fromhex(token.hash[7:]): Identity(token.name, token.role, token.jobs) for token in tokens}

    def identity(self, token: bytes) -> Identity | None:
        """Whose a token is; None where it is nobody's."""
        given, found = hashlib.sha256(token).digest(), None
        for known, identity in self._known.items():  # all of them: the time does not tell which it was
            if hmac.compare_digest(known, given):
                found = identity
        return found

    def __len__(self) -> int:
        return len(self._known)


def made() -> str:
    """A new token."""
    return _PREFIX + secrets.token_urlsafe(32)


def entry(name: str, token: str, role: str, jobs: Sequence[str]) -> str:
    """The entry of a token in the file, without the token."""
    words = ", ".join(_quoted(pattern) for pattern in jobs)
    hashed = "sha256:" + hashlib.sha256(token.encode()).hexdigest()
    return f'[[token]]\nname = {_quoted(name)}\nhash = "{hashed}"\nrole = "{role}"\njobs = [{words}]\n'


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()  # of these two languages, strings are the same


def load(path: str | None) -> Tokens | None:
    """The tokens of a file, or of the environment; None where there are none.

    Raises:
        JobError: They are not written as they should be.
        StorageError: The file cannot be read.
    """
    if path is None:
        text = os.environ.get(VARIABLE)
        return None if not text else _parsed(text, f"${VARIABLE}")
    try:
        return _parsed(Path(path).read_text(encoding="utf-8"), path)
    except OSError as error:
        raise StorageError(f"the tokens {path} cannot be read: {error.strerror or error}") from error


def _parsed(text: str, where: str) -> Tokens:
    try:
        found = msgspec.convert(tomllib.loads(text), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise JobError(
            f"{where}: {error}; it is TOML, a [[token]] for each, with name, hash (sha256:…), role "
            f"({', '.join(ROLES)}) and, if not for all, jobs; `mixtera jobs token NAME --role ROLE` prints one"
        ) from error
    if not found.token:
        raise JobError(f"{where} has no token; `mixtera jobs token NAME --role ROLE` prints one")
    for field in ("name", "hash"):
        values = [getattr(token, field) for token in found.token]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise JobError(f"{where}: two tokens have the {field} {twice!r}")
    return Tokens(found.token)
