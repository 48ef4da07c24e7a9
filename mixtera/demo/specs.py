"""The example specs: files of `specs/examples/`, shipped in the wheel as `mixtera/demo/specs/`.

The specs lie at the top; below it what they include, and the lists that they exclude.
"""

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
    """Copy the example specs, and what they need, to a directory, so that their relative paths find the corpus in it.

    Args:
        directory: An existing directory.

    Returns:
        The copies of the specs, sorted.

    Raises:
        StorageError: The directory cannot be written.
    """
    specs = example_specs()
    root = specs[0].parent
    try:
        for path in sorted(root.glob("*/*")):
            (directory / path.parent.name).mkdir(exist_ok=True)
            shutil.copyfile(path, directory / path.relative_to(root))
        return tuple(Path(shutil.copyfile(path, directory / path.name)) for path in specs)
    except OSError as error:
        raise StorageError(f"cannot write the example specs to {directory}: {error.strerror or error}") from error
