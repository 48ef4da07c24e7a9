"""What commands write: results on stdout, everything else on stderr."""

from __future__ import annotations

import argparse
import json
import sys


def write(text: str) -> None:
    """Write a result to stdout, with one line end."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def write_json(value: object) -> None:
    """Write a result to stdout as JSON."""
    write(json.dumps(value, indent=2, ensure_ascii=False))


def note(arguments: argparse.Namespace, text: str) -> None:
    """Write a note to stderr, unless `--quiet` is given."""
    if not arguments.quiet:
        sys.stderr.write(text + "\n")


def complain(text: str) -> None:
    """Write what went wrong to stderr."""
    sys.stderr.write(text + "\n")
