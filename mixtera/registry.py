"""Name → implementation, through entry points: built-ins come through the same door as a stranger's plugin."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast
from urllib.parse import urlsplit

from mixtera.contracts.engine import Engine
from mixtera.contracts.format import Format
from mixtera.contracts.storage import Descriptors, FileInfo, Pinning, Storage
from mixtera.errors import PluginError


@cache
def _entries(kind: str) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=f"mixtera.{kind}"):
        if entry.name in found and found[entry.name].value != entry.value:
            raise PluginError(
                f"two plugins of kind {kind!r} are named {entry.name!r}: {found[entry.name].value} and {entry.value}; "
                "uninstall one of them"
            )
        found[entry.name] = entry
    return found


def names(kind: str) -> tuple[str, ...]:
    """Names of the installed plugins of a kind (`formats`, `storage`, `engines`), sorted."""
    return tuple(sorted(_entries(kind)))


def _load(kind: str, name: str) -> Any:  # noqa: ANN401 - a plugin's class is known by its contract only
    entries = _entries(kind)
    if name not in entries:
        near = difflib.get_close_matches(name, entries, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise PluginError(f"no plugin of kind {kind!r} is named {name!r}; installed: {', '.join(names(kind))}{hint}")
    try:
        return entries[name].load()
    except ImportError as error:
        raise missing(f"{kind} {name!r}", name, error) from error
    except AttributeError as error:
        place = f"{entries[name].value} of {_distribution(entries[name])}"
        raise PluginError(
            f"{kind} {name!r} cannot be loaded, {place}: {error}; install a version of it that fits"
        ) from error


def missing(what: str, extra: str, error: ImportError) -> PluginError:
    """The error for something whose package is not installed, with the way to get it.

    Args:
        what: What cannot be done.
        extra: The extra of this distribution that brings the package.
        error: Names the package.
    """
    return PluginError(f"{what} needs {error.name}: pip install 'mixtera[{extra}]'")


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown distribution"


@cache
def format_named(name: str) -> Format:
    """The format of that name.

    Raises:
        PluginError: There is none.
    """
    return cast(Format, _load("formats", name)())


def format_of(path: str) -> Format | None:
    """The format whose suffix a path ends with (the longest wins), or None."""
    suffixes = {suffix: name for name in names("formats") for suffix in format_named(name).suffixes}
    matching = [suffix for suffix in suffixes if path.lower().endswith(suffix)]
    return format_named(suffixes[max(matching, key=len)]) if matching else None


@cache
def _schemes() -> dict[str, str]:
    return {scheme: name for name in names("storage") for scheme in _load("storage", name).schemes}


def schemes() -> tuple[str, ...]:
    """URL schemes that the installed storages know, sorted; `file` is that of a plain path."""
    return tuple(sorted(_schemes()))


@cache
def _storage(name: str) -> Storage:
    return cast(Storage, _load("storage", name)())


def storage_named(name: str) -> Storage:
    """The storage of that name.

    Raises:
        PluginError: There is none.
    """
    return _storage(name)


def storage_of(url: str) -> Storage:
    """The storage of a URL; a plain path is local.

    Raises:
        PluginError: No installed storage knows the scheme.
    """
    scheme = urlsplit(url).scheme if "://" in url else "file"
    if scheme not in _schemes():
        known = ", ".join(schemes())
        raise PluginError(
            f"no installed storage knows {scheme}:// of {url}; known: {known}; a plugin of the entry point group "
            "mixtera.storage can bring it"
        )
    return _storage(_schemes()[scheme])


def storage_of_file(file: FileInfo) -> Storage:
    """The storage of a file that was described before; one that can pin the file's content does."""
    storage = storage_of(file.url)
    return cast(Pinning, storage).pinned(file) if can_pin(type(storage)) else storage


@cache
def can_pin(kind: type) -> bool:
    """Whether a class of storages is `Pinning`: asked of each file, it would take as long as to open one."""
    return issubclass(kind, Pinning)


@cache
def has_descriptors(kind: type) -> bool:
    """Whether a class of storages is `Descriptors`."""
    return issubclass(kind, Descriptors)


def engine_named(name: str) -> Engine:
    """A new session of the engine of that name.

    Raises:
        PluginError: There is none.
    """
    return cast(Engine, _load("engines", name)())
