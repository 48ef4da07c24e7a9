"""`mixtera`: finds the subcommand, runs it, and turns what goes wrong into a message and an exit code.

Exit codes: 0 done, 1 the input is wrong, 2 usage, 3 something outside failed, 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast

from mixtera import __version__
from mixtera.cli.options import add_common, join_engine
from mixtera.cli.output import complain
from mixtera.errors import MixteraError

INPUT_IS_WRONG: Final = 1
USAGE: Final = 2
OUTSIDE_FAILED: Final = 3
INTERRUPTED: Final = 130
PATIENCE_SECONDS: Final = 3.0
_MAKE_ROOM: Final = ": make room where the output goes, and where TMPDIR, MIXTERA_CACHE and MIXTERA_SPOOL say"


class CommandModule(Protocol):
    """What the module of a subcommand offers."""

    NAME: str
    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; returns the exit code."""


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand: its name, one line of help, and the module that is imported when it is called."""

    name: str
    help: str
    module: str


COMMANDS: Final = (
    Command("demo", "the whole way on a real corpus made from files of this machine", "mixtera.cli.demo"),
    Command("init", "write a commented first spec for some data files", "mixtera.cli.init"),
    Command("import", "write a spec for the data description of another system", "mixtera.cli.import_"),
    Command("check", "validate specs and report every problem of them", "mixtera.cli.check"),
    Command("index", "bring the catalog up to date with the files of a spec", "mixtera.cli.index"),
    Command("explain", "show what a spec or a plan will do", "mixtera.cli.explain"),
    Command(
        "simulate",
        "run a mixing algorithm against recorded or modelled losses, without training",
        "mixtera.cli.simulate",
    ),
    Command("compile", "write the plan of a spec and print its digest", "mixtera.cli.compile"),
    Command("lock", "write down what a spec compiles to, or tell what has moved since", "mixtera.cli.lock"),
    Command("diff", "tell what changes from one spec, plan or lock to another", "mixtera.cli.diff"),
    Command("stream", "print samples of a spec or a plan, in their order", "mixtera.cli.stream"),
    Command("ledger", "tell which documents a step saw, and when a document is seen", "mixtera.cli.ledger"),
    Command("serve", "serve the jobs of a directory to trainings on any machine", "mixtera.cli.serve"),
    Command("status", "show how far a job is, its weights, and who reads it", "mixtera.cli.status"),
    Command("jobs", "make jobs and tokens for a service, and list its jobs", "mixtera.cli.jobs"),
    Command("catalog", "look into the catalog", "mixtera.cli.catalog"),
    Command("schema", "print the JSON Schema of the spec, for editors", "mixtera.cli.schema"),
)
"""Every subcommand, in the order of `--help`. To add one, add its line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments without the program's name; the process's own by default.

    Returns:
        The exit code.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    arguments: argparse.Namespace | None = None
    try:
        parser, module = _parser(words)
        arguments = parser.parse_args(words)
        if module is None:
            parser.print_help(sys.stderr)
            return USAGE
        join_engine(arguments)
        code = module.run(arguments)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse: --help, --version, wrong usage
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        complain("mixtera: interrupted")
        if argv is None:
            _end_soon()
        return INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        return 0
    except MixteraError as error:
        _complain_with_causes(str(error), error, arguments)
        return error.exit_code
    except OSError as error:
        _complain_with_causes(_os_message(error), error, arguments)
        return OUTSIDE_FAILED


def _end_soon() -> None:
    """End this process in a few seconds, should it not have ended by then.

    Python waits for threads when it ends, and one may be trying for minutes to reach a server.
    """
    timer = threading.Timer(PATIENCE_SECONDS, os._exit, (INTERRUPTED,))
    timer.daemon = True
    timer.start()


def _parser(words: Sequence[str]) -> tuple[argparse.ArgumentParser, CommandModule | None]:
    """The parser; only the called subcommand's module is imported, so that `--help` is fast."""
    parser = argparse.ArgumentParser(
        prog="mixtera", description="A data plane for foundation-model training.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"mixtera {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    called = next((word for word in words if not word.startswith("-")), None)
    module = None
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.help, description=command.help, allow_abbrev=False)
        if command.name == called:
            module = cast(CommandModule, importlib.import_module(command.module))
            module.configure(subparser)
            add_common(subparser)
    return parser, module


def _complain_with_causes(message: str, error: BaseException, arguments: argparse.Namespace | None) -> None:
    complain(message)
    cause = error.__cause__ or error.__context__
    while arguments is not None and arguments.verbose and cause is not None:
        complain(f"  caused by {type(cause).__name__}: {cause}")
        cause = cause.__cause__ or cause.__context__


def _os_message(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    where = f"{error.filename}: " if error.filename else ""
    room = "" if where or error.errno != errno.ENOSPC else _MAKE_ROOM
    return f"mixtera: {where}{what[0].lower()}{what[1:]}{room}"


def _discard_stdout() -> None:
    """The reader of stdout is gone: let the interpreter's last flush write into nothing."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, sys.stdout.fileno())
    os.close(sink)
