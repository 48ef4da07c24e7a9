"""`mixtera schema`: prints the JSON Schema of the spec."""

from __future__ import annotations

import argparse
from typing import Final

from mixtera.cli.output import write_json

NAME: Final = "schema"
HELP: Final = "print the JSON Schema of the spec, for editors"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments: there are none."""


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    from mixtera.spec.schema import json_schema

    write_json(json_schema())
    return 0
