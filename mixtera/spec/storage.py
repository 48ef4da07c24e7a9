"""Reads `storage:`: options of storages, none of them a secret."""

from __future__ import annotations

import re
from typing import Final

from mixtera import registry
from mixtera.contracts.storage import Configurable, Option, Options, OptionValue, Storage, StorageOptions
from mixtera.errors import PluginError
from mixtera.spec.document import Entry, Mapping, Node, Scalar, describe
from mixtera.spec.fields import Fields, number_of, text_of
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.paths import problem_of

SECRET: Final = (
    r"(^|_|-)(key|keys|secret|secrets|token|tokens|password|passwd|credential|credentials|passphrase)($|_|-)"
)
_IS_SECRET: Final = re.compile(SECRET, re.IGNORECASE)
_CONNECTION: Final = "connection_string"
_UNITS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
_SIZE: Final = re.compile(r"([0-9]+) ?([kmg]?i?)b?", re.IGNORECASE)
_MOST: Final = 2**53


def read_storage(fields: Fields, issues: Issues) -> StorageOptions:
    """The options, by name of a storage, scheme or URL prefix."""
    node = fields.mapping("storage")
    if node is None:
        return ()
    found = []
    for entry in node.entries:
        storage = _storage(entry.key, issues)
        options = _options(entry, storage, issues)
        found.append((entry.key.text, tuple(options.items())))
    return tuple(found)


def _storage(key: Scalar, issues: Issues) -> Storage | None:
    """The storage that a key names."""
    name = key.text
    try:
        if "://" in name:
            if problem := problem_of(name):
                issues.add(key.place, f"storage: {problem}")
                return None
            return registry.storage_of(name)
        if name in registry.names("storage"):
            return registry.storage_named(name)
        if name in registry.schemes():
            return registry.storage_of(f"{name}://")
    except PluginError as error:
        issues.add(key.place, f"storage: {error}")
        return None
    known = registry.names("storage")
    said = suggestion(name, known, "installed")
    issues.add(key.place, f"storage: no storage and no scheme is named {name!r}{said}; or a URL prefix")
    return None


def _options(entry: Entry, storage: Storage | None, issues: Issues) -> Options:
    name, node = entry.key.text, entry.value
    if not isinstance(node, Mapping) or not node.entries:
        issues.add(node.place, f"storage: {name}: expected a mapping of options, found {describe(node)}")
        return {}
    if storage is not None and not isinstance(storage, Configurable):
        issues.add(entry.key.place, f"storage: the storage {storage.name!r} takes no options; remove it")
        storage = None
    found: dict[str, OptionValue] = {}
    for one in node.entries:
        key = one.key.text
        if _IS_SECRET.search(key) or key.lower() == _CONNECTION:
            issues.add(one.key.place, _no_secrets(name, key))
        elif isinstance(storage, Configurable):
            value = _value(one, storage, issues)
            if value is not None:
                found[key] = value
    return found


def _no_secrets(name: str, key: str) -> str:
    how = (
        "set AWS_PROFILE (or write `profile: NAME`), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        if name.startswith("s3")
        else "give it in the environment, or in the configuration files that the storage's package reads"
    )
    return f"storage: {key!r} of {name} looks like a secret, and specs hold none: {how}"


def _value(entry: Entry, storage: Configurable, issues: Issues) -> OptionValue | None:
    name = entry.key.text
    option = next((option for option in storage.options if option.name == name), None)
    if option is not None:
        return _of_kind(option, entry.value, issues)
    if storage.any_option:
        return _any(name, entry.value, issues)
    known = [option.name for option in storage.options]
    issues.add(entry.key.place, f"storage: unknown option {name!r}{suggestion(name, known)}")
    return None


def _any(name: str, node: Node, issues: Issues) -> OptionValue | None:
    if isinstance(node, Scalar) and node.value is not None:
        return _harmless(name, node.value, node, issues)
    issues.add(node.place, f"{name}: expected a text, a number, true or false, found {describe(node)}")
    return None


def _of_kind(option: Option, node: Node, issues: Issues) -> OptionValue | None:
    name, value = option.name, node.value if isinstance(node, Scalar) else None
    good: OptionValue | None
    match option.kind:
        case "text":
            text = text_of(node, name, issues)
            return None if text is None else _harmless(name, text, node, issues)
        case "flag":
            expected, good = "true or false", value if isinstance(value, bool) else None
        case "rate":
            return number_of(node, name, issues, zero=False)
        case "count":
            expected, good = "a whole number from 1", _size(value, units=False)
        case "bytes":
            expected, good = "a number of bytes such as 8MiB", _size(value, units=True)
    if good is None:
        issues.add(node.place, f"{name}: expected {expected}, found {describe(node)}")
    return good


def _size(value: object, units: bool) -> int | None:
    """A whole number from 1; a text may have a unit."""
    if isinstance(value, str) and units and (match := _SIZE.fullmatch(value.strip())):
        value = int(match[1]) * _UNITS.get(match[2].lower(), 0)
    return value if type(value) is int and 0 < value <= _MOST else None


def _harmless(name: str, value: OptionValue, node: Node, issues: Issues) -> OptionValue | None:
    if isinstance(value, str) and "://" in value and (problem := problem_of(value)):
        issues.add(node.place, f"{name}: {problem}")
        return None
    return value
