"""How pyiceberg reads and writes the files of a catalog directory, wherever that directory lies now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream

from mixtera.catalog.location import Location

if TYPE_CHECKING:
    from mixtera.catalog.mirror import Mirror


class CatalogFile(InputFile, OutputFile):
    """One file of the catalog: its recorded URI, and the path where it lies now."""

    def __init__(self, location: str, path: Path, mirror: Mirror | None) -> None:
        super().__init__(location)
        self.path, self._mirror = path, mirror

    def __len__(self) -> int:
        self._have()
        return self.path.stat().st_size

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.path.exists()

    def open(self, seekable: bool = True) -> InputStream:
        """Open it for reading."""
        self._have()
        return cast(InputStream, self.path.open("rb"))

    def create(self, overwrite: bool = False) -> OutputStream:
        """Open it for writing; it must not exist unless `overwrite`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return cast(OutputStream, _open_new(self.path, overwrite))

    def to_input_file(self) -> InputFile:
        """The same file, for reading."""
        return self

    def _have(self) -> None:
        if self._mirror is not None:
            self._mirror.have([self.path])


def _open_new(path: Path, overwrite: bool) -> BinaryIO:
    return path.open("wb" if overwrite else "xb")


class CatalogIO(FileIO):
    """Files below the recorded root of a catalog, read and written below its present root."""

    def __init__(self, location: Location, mirror: Mirror | None = None) -> None:
        """Use the files of a catalog directory; with a mirror, those of a URL that it has copies of."""
        super().__init__()
        self._location, self._mirror = location, mirror

    def new_input(self, location: str) -> CatalogFile:
        """A file to read."""
        return CatalogFile(location, self._location.path(location), self._mirror)

    def new_output(self, location: str) -> CatalogFile:
        """A file to write."""
        return CatalogFile(location, self._location.path(location), self._mirror)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Delete a file."""
        path = self._location.path(location if isinstance(location, str) else location.location)
        if self._mirror is not None:
            self._mirror.supersede(path)
        else:
            path.unlink()
