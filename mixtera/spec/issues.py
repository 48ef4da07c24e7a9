"""Collects the issues of a spec: checking goes on after each, so that all are reported at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from mixtera.errors import Issue
from mixtera.spec.model import Place


class Issues:
    """The issues found so far, each once."""

    def __init__(self) -> None:
        self._found: dict[Issue, None] = {}

    def add(self, place: Place, message: str) -> None:
        """Report a problem at a place."""
        self._found[Issue(place.file, place.line, place.column, message)] = None

    def extend(self, issues: Iterable[Issue]) -> None:
        """Report problems that have their place already."""
        self._found |= dict.fromkeys(issues)

    @property
    def found(self) -> tuple[Issue, ...]:
        """All of them."""
        return tuple(self._found)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a wrong one most likely means."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), by_folded, 1, 0.6)
    return by_folded[near[0]] if near else None


def suggestion(name: str, known: Iterable[str], label: str = "allowed") -> str:
    """The end of a message about an unknown name: the nearest one, and all there are."""
    listed = list(known)
    near = nearest(name, listed)
    meant = f"; did you mean {near!r}?" if near else ""
    shown = ", ".join(listed[:20]) + (f", … ({len(listed)} in all)" if len(listed) > 20 else "")
    return f"{meant}; {label}: {shown or 'none'}" if not meant else f"{meant} {label}: {shown}"
