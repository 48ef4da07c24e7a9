"""Where plans and catalogs lie, a path or a URL, and where copies are kept; it imports nothing of what reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import unquote

CACHE_VARIABLE: Final = "MIXTERA_CACHE"
"""Environment variable: the directory in which plans and catalogs of other places are kept."""


def is_remote(path: str) -> bool:
    """Whether a path is a URL of a storage."""
    return "://" in path and not path.startswith("file://")


def plain_path(path: str) -> str:
    """The path of a `file://` URL; any other as it is."""
    return unquote(path.removeprefix("file://").removeprefix("localhost")) if path.startswith("file://") else path


def cache_directory() -> Path:
    """Where copies are kept: they may be deleted at any time when nobody reads them."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mixtera"
