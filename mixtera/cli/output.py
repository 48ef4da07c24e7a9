"""What commands write: results on stdout, everything else on stderr."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

from mixtera.errors import StorageError


def write(text: str) -> None:
    """Write a result to stdout, with one line end."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def write_json(value: object) -> None:
    """Write a result to stdout as JSON."""
    write(json_text(value))


def json_text(value: object) -> str:
    """A result as JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def write_file(path: Path, text: str) -> None:
    """Write a result to a file: whole or not at all; what was there is replaced.

    Raises:
        StorageError: It cannot be written.
    """
    fresh = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            fresh = Path(file.name)
            file.write(text)
            os.fchmod(file.fileno(), _mode(path))
        fresh.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}; give another -o") from error
    finally:
        if fresh is not None:
            fresh.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """Permissions of a file that is written anew: those of the older one there, else what the process gives."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0o022)
        os.umask(mask)
        return 0o666 & ~mask


def note(arguments: argparse.Namespace, text: str) -> None:
    """Write a note to stderr, unless `--quiet` is given."""
    if not arguments.quiet:
        sys.stderr.write(text + "\n")


def complain(text: str) -> None:
    """Write what went wrong to stderr; a URL may have been given with a password, which is not repeated."""
    if "://" in text:
        from mixtera.spec.paths import without_credentials

        text = without_credentials(text)
    sys.stderr.write(text + "\n")
