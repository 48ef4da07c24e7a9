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
_KINDS: Final = ("energon", "megatron", "olmo-core", "hf-card", "croissant")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument(
        "input",
        nargs="+",
        metavar="FILE",
        help="the description: a file; or the words of a Megatron blend: weight prefix weight prefix …",
    )
    parser.add_argument("--from", dest="kind", choices=_KINDS, help="what it is (default: told from its content)")
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

    words: list[str] = arguments.input
    alone = words[0] if len(words) == 1 else ""
    is_file = bool(alone) and (Path(alone).exists() or not any(c.isspace() for c in alone))
    if is_file or arguments.kind not in (None, "megatron"):
        return read(
            words[0],
            arguments.kind,
            split=arguments.split,
            configs=arguments.config,
            content=arguments.content,
            folder=folder,
        )
    return read_blend(words, content=arguments.content, folder=folder)


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
