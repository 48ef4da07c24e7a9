"""The page of the command line has every command, action and option, and the README every command."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixtera.cli.main import COMMANDS, Command
from mixtera.cli.options import add_common

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^##+ mixtera ([^\n]+)\n\n```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


def parsers(command: Command) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser(prog=f"mixtera {command.name}")
    importlib.import_module(command.module).configure(parser)
    add_common(parser)
    yield command.name, parser
    for group in parser._actions:
        if isinstance(group, argparse._SubParsersAction):
            yield from ((f"{command.name} {name}", action) for name, action in group.choices.items())


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_page_is_that_of_the_program(command: Command) -> None:
    for name, parser in parsers(command):
        said = " ".join(SECTIONS[name].split())
        for action in parser._actions:
            for option in action.option_strings or [str(action.metavar or action.dest)]:
                assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", said), f"{name}: {option}"
            if action.help and action.help != argparse.SUPPRESS:
                assert " ".join(action.help.replace("%%", "%").split())[:40] in said, f"{name}: {action.help}"
    assert f"`{command.name}`" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_page_has_nothing_else() -> None:
    assert set(SECTIONS) == {name for command in COMMANDS for name, _ in parsers(command)}
