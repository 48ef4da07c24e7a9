"""Where the files of a catalog directory lie, and what Iceberg's metadata call them.

Iceberg writes absolute URIs into its metadata. A catalog directory that was moved or copied keeps the URIs of the
place where it was made (`recorded`), and they are turned into paths below the place where it lies (`root`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


def uri_of(path: Path) -> str:
    """The file URI of an absolute path, unquoted, as Iceberg's other readers expect it."""
    return f"file://{path}"


def path_of(uri: str) -> Path:
    """The path of a file URI."""
    return Path(uri.removeprefix("file://"))


@dataclass(frozen=True, slots=True)
class Location:
    """A catalog directory.

    Attributes:
        recorded: The URI that it had when it was made.
        root: Where it lies now.
    """

    recorded: str
    root: Path

    def path(self, uri: str) -> Path:
        """Where the file of a recorded URI lies now."""
        if uri.startswith(self.recorded + "/"):
            return self.root / uri[len(self.recorded) + 1 :]
        return path_of(uri)

    def uri(self, path: Path) -> str:
        """The URI to record for a file below the root."""
        return f"{self.recorded}/{path.relative_to(self.root).as_posix()}"
