"""Paths in a spec: relative ones are resolved against the file they are written in, and nothing is expanded."""

from __future__ import annotations

import os
import posixpath
import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

_VARIABLE: Final = re.compile(r"\$\{[A-Za-z_]\w*\}?|\$[A-Za-z_]\w*|%[A-Za-z_]+%")
_SECRET_PARAMETER: Final = re.compile(
    r"signature|secret|token|password|passwd|credential|api.?key|access.?key|^sig$", re.IGNORECASE
)
_PASSWORD: Final = re.compile(r"(?<=://)[^\s/@]*:[^\s/]*@")
_PARAMETER: Final = re.compile(r"([?&][\w.-]*=)[^&\s'\"]+")


def problem_of(path: str) -> str | None:
    """Why a path cannot be used as written, or None. The answer never repeats a secret."""
    if "://" in path:
        return _url_problem(path)
    if path.startswith("~"):
        return f"~ is not expanded in {path!r}: write the whole path, or one relative to this file"
    return _variable_problem(path)


def _url_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        secret = has_credentials(url)
    except ValueError as error:
        return f"not a URL: {error}"
    if secret:
        where = f"{parts.scheme}://…{parts.path[:60]}"
        return f"the URL {where} holds credentials: specs hold no secrets; give them to the storage's own configuration"
    return _variable_problem(url)


def has_credentials(url: str) -> bool:
    """Whether a URL holds a password or a signature.

    Raises:
        ValueError: It is no URL.
    """
    parts = urlsplit(url)
    return parts.password is not None or any(_SECRET_PARAMETER.search(name) for name, _ in parse_qsl(parts.query))


def without_credentials(text: str) -> str:
    """The text, in which no URL has a password or a signature any more."""
    return _PARAMETER.sub(
        lambda found: f"{found[1]}…" if _SECRET_PARAMETER.search(found[1][1:-1]) else found[0],
        _PASSWORD.sub("…@", text),
    )


def _variable_problem(path: str) -> str | None:
    if found := _VARIABLE.search(path):
        return f"variables such as {found[0]} are not expanded in {path!r}: write the path itself"
    return None


def resolve(path: str, base_file: str) -> str:
    """The absolute path or URL of a path that is written in a file."""
    if "://" in path:
        return path
    if "://" not in base_file:
        return os.path.abspath(os.path.join(os.path.dirname(base_file), path))  # noqa: PTH100,PTH118,PTH120 - globs
    if posixpath.isabs(path):
        return posixpath.normpath(path)
    scheme, _, rest = base_file.partition("://")
    return f"{scheme}://{posixpath.normpath(posixpath.join(posixpath.dirname(rest), path))}"
