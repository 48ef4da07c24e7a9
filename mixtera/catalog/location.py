"""How Iceberg reaches the files of a catalog directory, wherever that directory lies now.

Iceberg writes absolute URIs into its metadata. A catalog directory that was moved or copied keeps the URIs of the
place where it was made (`recorded`), and they are turned into paths below the place where it lies (`root`).
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream
from pyiceberg.typedef import EMPTY_DICT, Properties

RECORDED_PROPERTY = "mixtera.recorded-root"
ROOT_PROPERTY = "mixtera.root"


def uri_of(path: Path) -> str:
    """The file URI of an absolute path, unquoted, as Iceberg's other readers expect it."""
    return f"file://{path}"


def path_of(uri: str) -> Path:
    """The path of a file URI."""
    return Path(uri.removeprefix("file://"))


class CatalogFile(InputFile, OutputFile):
    """One file of the catalog: its recorded URI, and the path where it lies now."""

    def __init__(self, location: str, path: Path) -> None:
        super().__init__(location)
        self.path = path

    def __len__(self) -> int:
        return self.path.stat().st_size

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.path.exists()

    def open(self, seekable: bool = True) -> InputStream:
        """Open it for reading."""
        return cast(InputStream, self.path.open("rb"))

    def create(self, overwrite: bool = False) -> OutputStream:
        """Open it for writing; it must not exist unless `overwrite`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return cast(OutputStream, _open_new(self.path, overwrite))

    def to_input_file(self) -> InputFile:
        """The same file, for reading."""
        return self


def _open_new(path: Path, overwrite: bool) -> BinaryIO:
    return path.open("wb" if overwrite else "xb")


class CatalogIO(FileIO):
    """Files below the recorded root of a catalog, read and written below its present root."""

    def __init__(self, properties: Properties = EMPTY_DICT) -> None:
        super().__init__(properties)
        self._recorded = properties[RECORDED_PROPERTY]
        self._root = Path(properties[ROOT_PROPERTY])

    def path(self, location: str) -> Path:
        """Where the file of a recorded URI lies now."""
        if location.startswith(self._recorded + "/"):
            return self._root / location[len(self._recorded) + 1 :]
        return path_of(location)

    def uri(self, path: Path) -> str:
        """The URI to record for a file below the root."""
        return f"{self._recorded}/{path.relative_to(self._root).as_posix()}"

    def new_input(self, location: str) -> CatalogFile:
        """A file to read."""
        return CatalogFile(location, self.path(location))

    def new_output(self, location: str) -> CatalogFile:
        """A file to write."""
        return CatalogFile(location, self.path(location))

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Delete a file."""
        self.path(location if isinstance(location, str) else location.location).unlink()
