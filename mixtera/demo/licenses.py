"""The license of a package, normalised to one lower-case SPDX identifier where the package lets us."""

from __future__ import annotations

import re
from email.message import Message
from typing import Final

_OF_CLASSIFIER: Final = {
    "MIT License": "mit",
    "MIT No Attribution License (MIT-0)": "mit-0",
    "Apache Software License": "apache-2.0",
    "BSD License": "bsd",
    "ISC License (ISCL)": "isc",
    "Python Software Foundation License": "psf-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "mpl-2.0",
    "The Unlicense (Unlicense)": "unlicense",
    "zlib/libpng License": "zlib",
    "GNU General Public License v2 (GPLv2)": "gpl-2.0",
    "GNU General Public License v3 (GPLv3)": "gpl-3.0",
    "GNU Lesser General Public License v3 (LGPLv3)": "lgpl-3.0",
}
_PATTERNS: Final = (
    (re.compile(r"\bapache\b", re.IGNORECASE), "apache-2.0"),
    (re.compile(r"\b(3-clause|bsd-3|new bsd|modified bsd)\b", re.IGNORECASE), "bsd-3-clause"),
    (re.compile(r"\b(2-clause|bsd-2|simplified bsd)\b", re.IGNORECASE), "bsd-2-clause"),
    (re.compile(r"\bbsd\b", re.IGNORECASE), "bsd"),
    (re.compile(r"\bmit\b", re.IGNORECASE), "mit"),
    (re.compile(r"\b(psf|python software foundation)\b", re.IGNORECASE), "psf-2.0"),
    (re.compile(r"\bmpl\b|\bmozilla\b", re.IGNORECASE), "mpl-2.0"),
    (re.compile(r"\bisc\b", re.IGNORECASE), "isc"),
)
_LONGEST_NAME: Final = 100
"""Characters; a longer `License` field is the license's text, not its name."""


def license_of(metadata: Message) -> str | None:
    """The first license that a package's metadata names, or None when it names none that can be told."""
    return (
        _from_expression(metadata.get("License-Expression") or "")
        or _from_classifiers([str(value) for value in metadata.get_all("Classifier", [])])
        or _from_name(str(metadata.get("License") or ""))
    )


def _from_expression(expression: str) -> str | None:
    """The first identifier of an SPDX expression."""
    found = re.search(r"[A-Za-z0-9][A-Za-z0-9.+-]*", expression)
    return found.group().lower() if found else None


def _from_classifiers(classifiers: list[str]) -> str | None:
    names = (c.rsplit(" :: ", 1)[-1] for c in classifiers if c.startswith("License ::"))
    return next((_OF_CLASSIFIER[name] for name in names if name in _OF_CLASSIFIER), None)


def _from_name(name: str) -> str | None:
    first = name.strip().partition("\n")[0]
    if len(name) > _LONGEST_NAME:
        return None
    return next((license_ for pattern, license_ in _PATTERNS if pattern.search(first)), None)
