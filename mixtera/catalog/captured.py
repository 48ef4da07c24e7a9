"""Properties that the path of a file says: the same for all of its samples."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from mixtera.contracts.format import PropertyColumn
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo
from mixtera.errors import Issue, SampleError, SpecError
from mixtera.formats.values import ARROW_TYPES
from mixtera.spec.captures import Captures, capture_of
from mixtera.spec.model import Place, Property, Source

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_SHOWN_ISSUES: Final = 20


class Captured:
    """What the paths of a source say about its files, and which properties are left for the records to say."""

    def __init__(self, paths: Sequence[str], properties: Sequence[PropertyColumn]) -> None:
        self.of_records = tuple(prop for prop in properties if capture_of(prop.path) is None)
        self._of_path = [(prop, name) for prop in properties if (name := capture_of(prop.path)) is not None]
        self._captures = Captures(paths) if self._of_path else None

    def values(self, file: FileInfo) -> Mapping[str, pa.Scalar]:
        """Property → value for a file.

        Raises:
            SampleError: Its path does not tell, or tells a value of another type.
        """
        if self._captures is None:
            return {}
        try:
            found = self._captures.values(file.url)
            return {prop.name: _scalar(found.get(name), prop.type, prop.name) for prop, name in self._of_path}
        except ValueError as error:
            raise SampleError(f"{file.url}: {error}") from error


def check_captured(source: Source, files: Sequence[FileInfo]) -> None:
    """Refuse files whose path does not give every captured property a value of its type, before any is read.

    Raises:
        SpecError: There are some; names the first ones.
    """
    wanted = [prop for prop in source.properties if capture_of(prop.path) is not None]
    if not wanted:
        return
    captured = Captured(source.paths, [PropertyColumn(prop.name, prop.path, prop.type or "string") for prop in wanted])
    issues: list[Issue] = []
    for file in files:
        try:
            captured.values(file)
        except SampleError as error:
            issues.append(_issue(_place(str(error), wanted) or source.place, f"source {source.name!r}: {error}"))
        if len(issues) == _SHOWN_ISSUES:
            break
    if issues:
        raise SpecError(issues)


def _place(message: str, wanted: Sequence[Property]) -> Place | None:
    """Where the property stands that a message names."""
    return next((prop.place for prop in wanted if f"property {prop.name!r}" in message), None)


def _issue(place: Place, message: str) -> Issue:
    return Issue(place.file, place.line, place.column, message)


def _scalar(text: str | None, type_: PropertyType, name: str) -> pa.Scalar:
    if text is None:
        return pa.scalar(None, ARROW_TYPES[type_])
    value = _READERS[type_](text)
    if value is None:
        raise ValueError(
            f"property {name!r}: its path has {text!r}, which is no {type_}: declare the capture as string, or make "
            "the path match fewer files"
        )
    return pa.scalar(value, ARROW_TYPES[type_])


def _integer(text: str) -> int | None:
    value = int(text) if _INTEGER.fullmatch(text) else None
    return value if value is not None and -(2**63) <= value < 2**63 else None


def _float(text: str) -> float | None:
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return None
    return value + 0.0 if math.isfinite(value) else None  # 0.0 for −0.0: engines differ on it


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def _timestamp(text: str) -> datetime.datetime | None:
    try:
        value = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)


_READERS: Final[Mapping[PropertyType, Callable[[str], Any]]] = {
    "string": str,
    "int64": _integer,
    "float64": _float,
    "bool": {"true": True, "false": False}.get,
    "date": _date,
    "timestamp": _timestamp,
}
