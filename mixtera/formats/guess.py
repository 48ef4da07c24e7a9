"""What type a property has, from the types that were seen of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo
from mixtera.errors import SampleError

_FILES: Final = 8

_WIDER: Final[dict[frozenset[PropertyType], PropertyType]] = {
    frozenset({"int64", "float64"}): "float64",
    frozenset({"list<int64>", "list<float64>"}): "list<float64>",
    frozenset({"date", "timestamp"}): "timestamp",
}


class Guess:
    """The type of one property so far. Integers and floats make a float; other mixtures are refused."""

    def __init__(self, name: str, path: str) -> None:
        self._name = name
        self.path = path
        self._type: PropertyType | None = None
        self._place = ""
        self._empty_list = False

    def see(self, found: PropertyType, place: str) -> None:
        """Take in a value of a type, seen at a place.

        Raises:
            SampleError: It does not go together with what was seen before.
        """
        if found == self._type:
            return
        if self._type is not None and frozenset({self._type, found}) not in _WIDER:
            self.refuse(f"is {found} here and {self._type} in {self._place}: make them one type, or give a type", place)
        self._type = found if self._type is None else _WIDER[frozenset({self._type, found})]
        self._place = place

    def see_empty_list(self) -> None:
        """Take in a list that may have no elements."""
        self._empty_list = True

    def refuse(self, what: str, place: str) -> NoReturn:
        """Say that the property cannot be used as it is.

        Raises:
            SampleError: Always.
        """
        raise SampleError(f"{place}: property {self._name!r} ({self.path}) {what}")

    def result(self) -> PropertyType | None:
        """The type; list<string> if only empty lists were seen; None if there was no value at all."""
        return "list<string>" if self._type is None and self._empty_list else self._type


def spread(files: Sequence[FileInfo]) -> list[FileInfo]:
    """Up to eight of the files, evenly spread, the first and the last among them."""
    if len(files) <= _FILES:
        return list(files)
    return [files[i * (len(files) - 1) // (_FILES - 1)] for i in range(_FILES)]
