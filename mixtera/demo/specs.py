"""The example specs: files of `specs/examples/`, shipped in the wheel as `mixtera/demo/specs/`."""

from __future__ import annotations

import shutil
from pathlib import Path

from mixtera.errors import StorageError


def example_specs() -> tuple[Path, ...]:
    """The example specs, sorted: those of the installed package, or of the source tree in an editable install.

    Raises:
        StorageError: The installation lacks them.
    """
    here = Path(__file__)
    for directory in (here.parent / "specs", here.parents[2] / "specs" / "examples"):
        if found := tuple(sorted(directory.glob("*.yaml"))):
            return found
    raise StorageError(f"the example specs are missing beside {here.parent}; install mixtera again")


def copy_specs(directory: Path) -> tuple[Path, ...]:
    """Copy the example specs to a directory, so that their relative paths find the corpus in it.

    Raises:
        StorageError: The directory cannot be written.
    """
    try:
        return tuple(Path(shutil.copyfile(path, directory / path.name)) for path in example_specs())
    except OSError as error:
        raise StorageError(f"cannot write the example specs to {directory}: {error.strerror or error}") from error
