"""Collects the issues of a spec: checking goes on after each, so that all are reported at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice
from typing import Final

from mixtera.errors import Issue
from mixtera.spec.model import Place

MAX_ISSUES: Final = 1_000
_MAX_COMPARED: Final = 1_000


class TooManyIssues(Exception):  # noqa: N818 - ends the reading; what was found is reported
    """There are so many issues that reading on helps nobody."""


class Issues:
    """The issues found so far, each once."""

    def __init__(self) -> None:
        self._found: dict[Issue, None] = {}

    def add(self, place: Place, message: str) -> None:
        """Report a problem at a place.

        Raises:
            TooManyIssues: This was one too many.
        """
        self.extend((Issue(place.file, place.line, place.column, message),))

    def extend(self, issues: Iterable[Issue]) -> None:
        """Report problems that have their place already."""
        self._found |= dict.fromkeys(issues)
        if len(self._found) >= MAX_ISSUES:
            raise TooManyIssues

    @property
    def found(self) -> tuple[Issue, ...]:
        """All of them."""
        return tuple(self._found)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a wrong one most likely means."""
    by_folded = {candidate.casefold(): candidate for candidate in islice(known, _MAX_COMPARED)}
    near = difflib.get_close_matches(name.casefold(), by_folded, 1, 0.6)
    return by_folded[near[0]] if near else None


def suggestion(name: str, known: Iterable[str], label: str = "allowed") -> str:
    """The end of a message about an unknown name: the nearest one, and all there are."""
    listed = list(known)
    near = nearest(name, listed)
    meant = f"; did you mean {near!r}?" if near else ""
    shown = ", ".join(listed[:20]) + (f", … ({len(listed)} in all)" if len(listed) > 20 else "")
    return f"{meant}; {label}: {shown or 'none'}" if not meant else f"{meant} {label}: {shown}"
