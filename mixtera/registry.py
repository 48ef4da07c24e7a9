"""Name → implementation, through entry points: built-ins come through the same door as a stranger's plugin."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from mixtera.contracts.algorithm import Algorithm
from mixtera.contracts.engine import Configurable as ConfigurableEngine
from mixtera.contracts.engine import Engine
from mixtera.contracts.format import Configurable, Format
from mixtera.contracts.storage import (
    AnyScheme,
    Descriptors,
    FileInfo,
    OptionValue,
    Pinning,
    Recognising,
    Storage,
    StorageOptions,
)
from mixtera.contracts.storage import Configurable as ConfigurableStorage
from mixtera.contracts.tokenizer import TokenizerKind
from mixtera.errors import PluginError
from mixtera.links import parted

_Ability = TypeVar("_Ability")
_PATHS: Final = "file"
"""The scheme of paths."""


@cache
def _installed() -> Any:  # noqa: ANN401 - `EntryPoints`, or before Python 3.12 what has them by group
    """The entry points of all kinds: asking for one kind looks through all distributions, as asking for all does."""
    return entry_points()


@cache
def _entries(kind: str) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in _installed().select(group=f"mixtera.{kind}"):
        if entry.name in found and found[entry.name].value != entry.value:
            raise PluginError(
                f"two plugins of kind {kind!r} are named {entry.name!r}: {found[entry.name].value} and {entry.value}; "
                "uninstall one of them"
            )
        found[entry.name] = entry
    return found


def names(kind: str) -> tuple[str, ...]:
    """Names of the installed plugins of a kind (`algorithms`, `formats`, `storage`, `engines`, …), sorted."""
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


def split_format(text: str) -> tuple[str, dict[str, str]]:
    """Name and options of a format in one text: `tokens(dtype=uint16,separator=0)`; the name alone has none.

    Raises:
        PluginError: It is neither.
    """
    return split_named("format", text)


def split_named(kind: str, text: str) -> tuple[str, dict[str, str]]:
    """Name and options of a plugin in one text: `tokens(dtype=uint16,separator=0)`; the name alone has none.

    Args:
        kind: What it is, for the error.
        text: The text.

    Raises:
        PluginError: It is neither.
    """
    found = re.fullmatch(r"([^()]*)\((.*)\)", text)
    if found is None:
        return text, {}
    pairs = [part.partition("=") for part in found[2].split(",")]
    if not all(key.strip() and sign for key, sign, _ in pairs):
        raise PluginError(f"{text!r} is no {kind} with options; write NAME(OPTION=VALUE, OPTION=VALUE)")
    return found[1].strip(), {key.strip(): value.strip() for key, _, value in pairs}


def joined_format(name: str, options: Mapping[str, str]) -> str:
    """The text that `split_format` takes apart."""
    given = ",".join(f"{key}={value}" for key, value in options.items())
    return f"{name}({given})" if given else name


@cache
def format_named(name: str) -> Format:
    """The format of that name, which may have options behind it: `tokens(dtype=uint16)`.

    Raises:
        PluginError: There is none, or it does not take these options.
    """
    plain, options = split_format(name)
    found = cast(Format, _load("formats", plain)())
    if not options:
        return found
    if not isinstance(found, Configurable):
        raise PluginError(f"the format {plain!r} takes no options; found {', '.join(options)}")
    return found.configured(options)


def format_of(path: str) -> Format | None:
    """The format whose suffix a path ends with (the longest wins), or None."""
    suffixes = {suffix: name for name in names("formats") for suffix in format_named(name).suffixes}
    path = parted(path)[1].lower()
    matching = [suffix for suffix in suffixes if path.endswith(suffix)]
    return format_named(suffixes[max(matching, key=len)]) if matching else None


@cache
def _of_paths() -> tuple[tuple[Recognising, ...], Storage]:
    """The storages for some of this machine's paths, and the one for all others.

    They have a group of their own, so that a path does not load what it has no use for: that takes as long as a batch.
    """
    storages = [_storage(name) for name in names("paths") or names("storage")]
    others = [storage for storage in storages if _PATHS in storage.schemes]
    return tuple(storage for storage in storages if isinstance(storage, Recognising)), others[-1]


@cache
def _schemes() -> dict[str, str]:
    return {scheme: name for name in names("storage") for scheme in _load("storage", name).schemes}


def schemes() -> tuple[str, ...]:
    """URL schemes that can be read here, sorted; `file` is that of a plain path."""
    others = {scheme for storage in _offering(AnyScheme) for scheme in storage.others()}
    return tuple(sorted({*_schemes(), *others}))


@cache
def _storage(name: str) -> Storage:
    return cast(Storage, _load("storage", name)())


@cache
def _offering(ability: type[_Ability]) -> tuple[_Ability, ...]:
    """The storages that can do more than the contract asks."""
    return tuple(found for name in names("storage") if isinstance(found := _storage(name), ability))


def storage_named(name: str) -> Storage:
    """The storage of that name.

    Raises:
        PluginError: There is none.
    """
    return _storage(name)


def storage_of(url: str, options: StorageOptions = ()) -> Storage:
    """The storage of a URL, of a plain path, or of a pattern of these.

    Args:
        url: The URL.
        options: What a spec says of storages.

    Raises:
        PluginError: No installed storage knows the scheme.
    """
    storage = _storage_of(url)
    return storage if not options else _with_options(storage.name, _options_for(url, storage.name, options))


def _storage_of(url: str) -> Storage:
    scheme = _scheme(url)
    if scheme == _PATHS:
        some, all_others = _of_paths()
        return next((cast(Storage, found) for found in some if found.recognises(url)), all_others)
    if scheme in _schemes():
        return _storage(_schemes()[scheme])
    if not (others := _offering(AnyScheme)):
        known = ", ".join(schemes())
        raise PluginError(
            f"no installed storage knows {scheme}:// of {url}; known: {known}; a plugin of the entry point group "
            "mixtera.storage can bring it"
        )
    return cast(Storage, others[0])


def _scheme(url: str) -> str:
    return urlsplit(url).scheme if "://" in url else _PATHS


def _options_for(url: str, name: str, options: StorageOptions) -> tuple[tuple[str, OptionValue], ...]:
    """The options that hold for a URL: those of its storage, then of its scheme, then of its prefixes, longer last."""
    names = [name, _scheme(url), *sorted((key for key, _ in options if "://" in key and url.startswith(key)), key=len)]
    given = dict(options)
    found = {option: value for key in names for option, value in given.get(key, ())}
    return tuple(sorted(found.items()))


@cache
def _with_options(name: str, options: tuple[tuple[str, OptionValue], ...]) -> Storage:
    storage = _storage(name)
    return storage.configured(dict(options)) if options and isinstance(storage, ConfigurableStorage) else storage


def storage_of_file(file: FileInfo, options: StorageOptions = ()) -> Storage:
    """The storage of a file that was described before; one that can pin the file's content does."""
    storage = storage_of(file.url, options)
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
    """A new session of the engine of that name, which may have options behind it: `duckdb(threads=4)`.

    Raises:
        PluginError: There is none, or it does not take these options.
    """
    plain, options = split_named("engine", name)
    found = cast(Engine, _load("engines", plain)())
    if not options:
        return found
    if not isinstance(found, ConfigurableEngine):
        raise PluginError(f"the engine {plain!r} takes no options; found {', '.join(options)}")
    return found.configured(options)


def engine_class(name: str) -> type[Engine]:
    """The class of an engine's sessions: what it says of itself, without a session.

    Raises:
        PluginError: There is none.
    """
    return cast("type[Engine]", _load("engines", name))


def executor_kind_named(name: str) -> Any:  # noqa: ANN401 - the catalog has its contract
    """What makes the executor of that name: `mixtera.catalog.executor.Executor`.

    Raises:
        PluginError: There is none.
    """
    return _load("executors", name)


@cache
def tokenizer_kind_named(name: str) -> TokenizerKind:
    """The kind of tokenizers of that name.

    Raises:
        PluginError: There is none.
    """
    return cast(TokenizerKind, _load("tokenizers", name)())


@cache
def algorithm_named(name: str) -> Algorithm:
    """The mixing algorithm of that name.

    Raises:
        PluginError: There is none.
    """
    return cast(Algorithm, _load("algorithms", name)())
