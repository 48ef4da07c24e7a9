"""Options that every subcommand has."""

from __future__ import annotations

import argparse
import os
from typing import Final

from mixtera.formats.temporary import SIZE_VARIABLE, SPOOL_VARIABLE, size_of

DEFAULT_CATALOG: Final = ".mixtera"


def add_common(parser: argparse.ArgumentParser, *, below: bool = False) -> None:
    """Add `--catalog`, `--quiet`, `--json` and `-v`.

    Args:
        parser: Parser of a command or of an action below it.
        below: It is an action's: what stands before the action counts where the option is not given after it.
    """
    group = parser.add_argument_group("options of every command")
    added = _add(group)
    for option in added if below else ():
        option.default = argparse.SUPPRESS


def add_engine(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--engine` and `--engine-option`, for commands that ask the catalog.

    Args:
        parser: Parser of the command.
        what: What the engine does for it, as the end of a sentence.
    """
    parser.add_argument("--engine", default="duckdb", metavar="E", help=f"engine {what} (default: duckdb)")
    parser.add_argument(
        "--engine-option",
        action="append",
        type=_engine_option,
        default=[],
        metavar="NAME=VALUE",
        help="an option of the engine, such as threads=4 or memory_limit=8GiB; may be given again",
    )


def join_engine(arguments: argparse.Namespace) -> None:
    """Put the options behind the engine's name, as `mixtera.registry.engine_named` reads them."""
    if given := dict(getattr(arguments, "engine_option", ())):
        from mixtera.registry import joined_format

        arguments.engine = joined_format(arguments.engine, given)


def _engine_option(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign and value) or "," in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, without a comma")
    return name, value


def add_no_lock(parser: argparse.ArgumentParser) -> None:
    """Add `--no-lock`, for commands that compile what they then run."""
    parser.add_argument(
        "--no-lock", action="store_true", help="compile a spec even if it does not compile to what SPEC.lock says"
    )


def add_spool(parser: argparse.ArgumentParser) -> None:
    """Add `--spool-dir` and `--spool-size`, for commands that read samples."""
    parser.add_argument(
        "--spool-dir",
        metavar="DIR",
        help="keep decompressed copies of compressed files, and what is fetched of objects, here, for all processes of "
        f"this machine and later ones (default: ${SPOOL_VARIABLE}, else temporary files, gone when they have ended)",
    )
    parser.add_argument(
        "--spool-size",
        type=size,
        metavar="SIZE",
        help=f"bytes that the copies may have together, such as 64GiB (default: ${SIZE_VARIABLE}, else 16GiB)",
    )


def use_spool(arguments: argparse.Namespace) -> None:
    """Let what is given for the spool count in this process and those it starts."""
    if arguments.spool_dir is not None:
        os.environ[SPOOL_VARIABLE] = arguments.spool_dir
    if arguments.spool_size is not None:
        os.environ[SIZE_VARIABLE] = str(arguments.spool_size)


def size(text: str) -> int:
    """Bytes of a size such as `64GiB`, for `type` of an argument."""
    try:
        return size_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _add(group: argparse._ArgumentGroup) -> list[argparse.Action]:
    return [
        group.add_argument(
            "--catalog",
            metavar="URL",
            default=os.environ.get("MIXTERA_CATALOG") or DEFAULT_CATALOG,
            help=f"the catalog (default: $MIXTERA_CATALOG, else {DEFAULT_CATALOG})",
        ),
        group.add_argument("--quiet", action="store_true", help="no progress and no notes on stderr"),
        group.add_argument("--json", action="store_true", help="machine output as JSON on stdout"),
        group.add_argument("-v", "--verbose", action="count", default=0, help="say more; also the causes of an error"),
    ]
