"""The functions that compute properties: found by name, called with a batch, their answers checked."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.machinery import PathFinder
from inspect import isfunction
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa

from mixtera.catalog.derived import ComputedColumn
from mixtera.contracts.properties import PropertyType
from mixtera.errors import PluginError, SampleError
from mixtera.formats.values import ARROW_TYPES, clean

Function: TypeAlias = Callable[..., Any]

_loaded: dict[str, tuple[int, int] | None] = {}
"""Modules of functions that this process has imported, with time and size of their files at that moment."""
_folders: set[str] = set()
"""Folders that this process looks for modules in, for the spec that it read last."""
_SHOWN: Final = 200


@dataclass(frozen=True)
class Call:
    """A computed property, ready to be called.

    Attributes:
        source: Name of the source, for messages.
        column: What is computed.
        function: What computes it.
        options: Its keyword arguments.
    """

    source: str
    column: ComputedColumn
    function: Function
    options: dict[str, Any]

    def values(self, batch: pa.RecordBatch, place: Callable[[], str]) -> pa.Array:
        """The values of some rows, in the property's type.

        Args:
            batch: The columns that the function asks for.
            place: Says which samples these are.

        Raises:
            SampleError: The function raised, or answered with something else than a value of the type per row.
        """
        try:
            with redirect_stdout(sys.stderr):  # what it prints must not get into what the command prints
                found = self.function(batch, **self.options)
        except Exception as error:
            raise self._error(f"{self.column.function} raised {_one_line(error)}", place()) from error
        try:
            return checked(found, self.column.type, batch.num_rows)
        except (TypeError, ValueError) as error:
            raise self._error(f"{self.column.function} returned {error}", place()) from error

    def _error(self, what: str, place: str) -> SampleError:
        return SampleError(
            f"source {self.source!r}: property {self.column.name!r}: {what}, for {place}; "
            "nothing of the source was committed: correct the function, or remove the property"
        )


def any_loaded() -> bool:
    """Whether code of a user's runs in this process: then it may have threads that a fork would not have."""
    return bool(_loaded)


def call_of(source: str, column: ComputedColumn, folders: Sequence[str]) -> Call:
    """Find the function of a computed property.

    Args:
        source: Name of the source, for messages.
        column: What is to be computed.
        folders: Where modules are looked for that are not installed.

    Raises:
        PluginError: There is no such module or function.
    """
    module_name, _, name = column.function.partition(":")
    _look_in(folders)
    what = f"source {source!r}: property {column.name!r}: "
    try:
        module = _module(module_name)
    except ModuleNotFoundError as error:
        raise PluginError(what + _no_module(module_name, error.name or "", folders)) from error
    except Exception as error:
        raise PluginError(f"{what}importing {module_name} raised {_one_line(error)}; correct it") from error
    function = getattr(module, name, None)
    if not callable(function):
        own = (value for value in vars(module).values() if getattr(value, "__module__", "") == module_name)
        known = sorted(value.__name__ for value in own if isfunction(value) and not value.__name__.startswith("_"))
        raise PluginError(
            f"{what}{module.__file__ or module_name} has no function {name!r}; it has: {', '.join(known) or 'none'}"
        )
    return Call(source, column, function, msgspec.json.decode(column.options))


def _look_in(folders: Sequence[str]) -> None:
    """Let modules be found in some folders, and no longer in those of another spec that this process has read."""
    sys.path[:] = [path for path in sys.path if path not in _folders]
    _folders.clear()
    for folder in folders:
        if folder not in sys.path:
            sys.path.append(folder)
            _folders.add(folder)


def _forget_another(name: str) -> None:
    """Forget a module of functions that was imported from another folder, for another spec, under the same name."""
    top = name.partition(".")[0]
    loaded = sys.modules.get(top)
    if loaded is None or name not in _loaded:
        return
    found = PathFinder.find_spec(top)
    if found is not None and found.origin != getattr(loaded.__spec__, "origin", None):
        for known in [known for known in sys.modules if known == top or known.startswith(f"{top}.")]:
            del sys.modules[known]
        _loaded.pop(name)


def _module(name: str) -> ModuleType:
    """The module, imported again where its file is another one since this process has done so."""
    importlib.invalidate_caches()
    _forget_another(name)
    known = name in _loaded
    before = _loaded.setdefault(name, None)
    module = importlib.import_module(name)
    if known and before is not None and _fingerprint(module) != before:
        module = importlib.reload(module)
    _loaded[name] = _fingerprint(module)
    return module


def _fingerprint(module: ModuleType) -> tuple[int, int] | None:
    path = Path(module.__file__ or "")
    if not path.is_file():
        return None
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_size


def _no_module(wanted: str, missing: str, folders: Sequence[str]) -> str:
    if wanted != missing and not wanted.startswith(f"{missing}."):
        return f"importing {wanted} needs the module {missing!r}, which is not installed; install it"
    where = f"in {folders[0]} or " if folders else ""
    return f"there is no module {missing!r} {where}among the installed packages; correct the name, or install it"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:_SHOWN]}" if text else type(error).__name__


def checked(found: object, type_: PropertyType, rows: int) -> pa.Array:
    """What a function returned as an array of the property's type: NaN is NULL, a NULL list is an empty one.

    Narrower numbers, other representations of strings and lists, and other units of time are taken as they are; an
    integer is no float and a string no number.

    Raises:
        TypeError: It is no array, or of another type.
        ValueError: It has another length, or a value does not fit the type.
    """
    array = _array(found)
    if len(array) != rows:
        raise ValueError(f"{len(array):,} values for {rows:,} samples; it must return one for each")
    target = ARROW_TYPES[type_]
    if not _fits(array.type, target):
        raise TypeError(f"values of type {array.type}, and the property is declared as {type_}")
    try:
        return clean(array if array.type.equals(target) else _cast(array, target))
    except pa.ArrowException as error:
        raise ValueError(f"values that do not fit {type_}: {_one_line(error)}") from error


def _array(found: object) -> pa.Array:
    if isinstance(found, pa.ChunkedArray):
        return found.combine_chunks() if found.num_chunks != 1 else found.chunk(0)
    if isinstance(found, pa.Array):
        return found
    if not isinstance(found, np.ndarray):
        raise TypeError(f"{type(found).__name__}; it must return a pyarrow or numpy array")
    if found.ndim != 1:
        raise TypeError(f"an array of {found.ndim} dimensions; it must have one value per sample")
    try:
        return pa.array(found)
    except pa.ArrowException as error:
        raise TypeError(f"a numpy array that Arrow cannot hold: {_one_line(error)}") from error


def _fits(found: pa.DataType, target: pa.DataType) -> bool:
    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_null(found) or found.equals(target):
        return True
    if pa.types.is_list(target):
        lists = pa.types.is_list(found) or pa.types.is_large_list(found) or pa.types.is_fixed_size_list(found)
        return lists and _fits(found.value_type, target.value_type)
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_timestamp)
    text = (pa.string(), pa.large_string(), pa.string_view())
    return any(kind(found) and kind(target) for kind in kinds) or (found in text and target in text)


def _cast(array: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_timestamp(array.type):
        return array.cast(target, safe=False)  # nanoseconds are cut; without a zone it is UTC
    return array.cast(target)
