"""`mixtera check`: validates specs and reports every problem of them."""

from __future__ import annotations

import argparse
from typing import Final

from mixtera.cli.output import complain, note, write_json
from mixtera.errors import Issue, SpecError

NAME: Final = "check"
HELP: Final = "validate specs and report every problem of them"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("specs", nargs="+", metavar="SPEC", help="a spec file")


def run(arguments: argparse.Namespace) -> int:
    """Check each spec; 1 where any has an issue."""
    issues = {file: _issues(file) for file in dict.fromkeys(arguments.specs)}
    wrong = [issue for found in issues.values() for issue in found]
    if arguments.json:
        write_json([_as_json(file, found) for file, found in issues.items()])
    for issue in [] if arguments.json else wrong:
        complain(str(issue))
    for file in [] if arguments.json else [file for file, found in issues.items() if not found]:
        note(arguments, f"{file}: ok")
    return 1 if wrong else 0


def _issues(file: str) -> tuple[Issue, ...]:
    from mixtera.spec import load

    try:
        load(file)
    except SpecError as error:
        return error.issues
    return ()


def _as_json(file: str, issues: tuple[Issue, ...]) -> dict[str, object]:
    found = [{"file": i.file, "line": i.line, "column": i.column, "message": i.message} for i in issues]
    return {"spec": file, "ok": not issues, "issues": found}
