"""`mixtera import`: writes a spec for a metadataset, a blend, a source mixture, a dataset card or metadata."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mixtera.cli.output import complain, note, write, write_json
from mixtera.errors import StorageError

if TYPE_CHECKING:
    from mixtera.importers import Imported

NAME: Final = "import"
HELP: Final = "write a spec for the data description of another system"
KINDS: Final = ("energon", "megatron", "olmo-core", "hf-card", "croissant")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument(
        "input",
        nargs="+",
        metavar="FILE",
        help="the description: a file; or the words of a Megatron blend: weight prefix weight prefix …",
    )
    parser.add_argument("--from", dest="kind", choices=KINDS, help="what it is (default: told from its content)")
    parser.add_argument("-o", "--output", metavar="SPEC", help="the spec to write (default: stdout); never overwritten")
    parser.add_argument("--split", default="train", help="the part to import (default: train)")
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="NAME",
        help="a configuration of a dataset card (default: its default one, or all); may be given several times",
    )
    parser.add_argument(
        "--content", metavar="FIELD", help="the field that training reads (default: the input's own, or text)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Read the description, write the spec, list what it does not say."""
    if problem := _misused(arguments):
        complain(f"mixtera import: {problem}")
        return 2
    output = None if arguments.output is None else Path(arguments.output)
    if output is not None and output.exists():
        raise _there_already(output)
    imported = _imported(arguments, Path.cwd() if output is None else output.absolute().parent)
    if output is not None:
        _create(output, imported.spec_text)
    if arguments.json:
        write_json(_as_json(imported, arguments.output))
    elif output is None:
        write(imported.spec_text)
    for remark in imported.untranslated:
        complain(f"not translated: {remark}")
    if output is not None:
        note(arguments, f"wrote {output}; next: mixtera check {output}, mixtera index {output}")
    return 0


def _imported(arguments: argparse.Namespace, folder: Path) -> Imported:
    from mixtera.importers import read, read_blend

    if _names_a_file(arguments.input):
        return read(
            arguments.input[0],
            arguments.kind,
            split=arguments.split,
            configs=arguments.config,
            content=arguments.content,
            folder=folder,
        )
    return read_blend(arguments.input, content=arguments.content, folder=folder)


def _names_a_file(words: list[str]) -> bool:
    """Whether the words are one file, and not those of a Megatron blend."""
    return len(words) == 1 and (Path(words[0]).exists() or not any(c.isspace() for c in words[0]))


def _misused(arguments: argparse.Namespace) -> str | None:
    """What is wrong with the way it is called, or None."""
    if _names_a_file(arguments.input):
        return None
    if arguments.kind not in (None, "megatron"):
        return f"{arguments.kind} is imported from one file; several words are a Megatron blend"
    if arguments.split != "train" or arguments.config:
        return "the words of a Megatron blend have no splits and no configurations: leave --split and --config out"
    return None


def _create(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise _there_already(path) from error


def _there_already(path: Path) -> StorageError:
    return StorageError(f"{path} is there already: import overwrites nothing; give another -o")


def _as_json(imported: Imported, output: str | None) -> dict[str, object]:
    found = [{"file": u.file, "line": u.line, "message": u.message} for u in imported.untranslated]
    spec = {"spec": imported.spec_text} if output is None else {"output": output}
    return {"kind": imported.kind, **spec, "untranslated": found}
