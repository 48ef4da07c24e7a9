"""Writes the pages of docs/reference that are made from the program itself: `make docs`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mixtera.cli.main import COMMANDS

REFERENCE = Path(__file__).parent / "reference"
PROGRAM = str(Path(sys.executable).with_name("mixtera"))
HEAD = """# The command line

Written by `make docs` from the help of the program. Exit codes: 0 done, 1 the input is wrong, 2 usage, 3 something
outside failed (storage, network). Results go to stdout, progress and errors to stderr.
"""


def _output(*arguments: str) -> str:
    environment = {**os.environ, "COLUMNS": "110"}
    done = subprocess.run([PROGRAM, *arguments], check=True, capture_output=True, text=True, env=environment)
    return done.stdout.strip()


def command_line() -> str:
    """The help of every command, as a page."""
    parts = [f"## mixtera {c.name}\n\n```text\n{_output(c.name, '--help')}\n```\n" for c in COMMANDS]
    return "\n".join([HEAD, *parts])


def main() -> None:
    """Write the pages."""
    REFERENCE.mkdir(exist_ok=True)
    (REFERENCE / "command-line.md").write_text(command_line(), encoding="utf-8")
    (REFERENCE / "spec.schema.json").write_text(_output("schema") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
