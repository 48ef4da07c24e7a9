"""`mixtera explain`: what a spec or a plan will do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mixtera.cli.given import Compiled, Options, compiled, plan_directory, spec_and_catalog
from mixtera.cli.numbers import whole_number
from mixtera.cli.options import add_engine, add_spool, use_spool
from mixtera.cli.output import complain, json_text, note, write, write_file
from mixtera.errors import LockError, PlanError

if TYPE_CHECKING:
    from mixtera.compiler import Overlap
    from mixtera.explanation import Explanation
    from mixtera.plan import Plan

NAME: Final = "explain"
HELP: Final = "show what a spec or a plan will do"
_USAGE: Final = 2
_ALONE: Final = ("html", "mermaid")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("given", metavar="SPEC|PLAN", help="a spec, whose sources are indexed, or a plan's directory")
    parser.add_argument(
        "--format",
        choices=("text", "json", "html", "mermaid"),
        help="text or html for people, json for programs, mermaid for a diagram (default: text)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write it to a file; an older one there is replaced")
    parser.add_argument(
        "--readers", type=whole_number(1), metavar="N", help="ranks × workers of the training: how much more they read"
    )
    parser.add_argument(
        "--machines",
        type=whole_number(1),
        default=1,
        metavar="M",
        help="machines that the readers are on: those of one share what they fetch from S3 (default: 1)",
    )
    parser.add_argument(
        "--batch", type=whole_number(1), metavar="B", help="samples of a step over all ranks: names steps too"
    )
    add_engine(parser, "that compiles")
    add_spool(parser)
    more = parser.add_mutually_exclusive_group()
    more.add_argument("--sql", action="store_true", help="print only the SQL of each source of a spec")
    more.add_argument("--analyze", action="store_true", help="add the engine's own account of each query of a spec")
    parser.add_argument("--dialect", metavar="D", help="dialect of --sql (default: duckdb)")


def run(arguments: argparse.Namespace) -> int:
    """Explain it; nothing is read but the catalog or the plan."""
    wrong = _wrong(arguments)
    if wrong:
        complain(f"mixtera explain: {wrong}")
        return _USAGE
    use_spool(arguments)
    view = "json" if arguments.json else arguments.format or "text"
    _give(arguments, _sql(arguments, view) if arguments.sql else _view(arguments, view))
    return 0


def _wrong(arguments: argparse.Namespace) -> str | None:
    """What does not go together, if something does not."""
    if arguments.dialect and not arguments.sql:
        return "--dialect goes with --sql"
    if arguments.json and arguments.format not in (None, "json"):
        return f"--json is another format than --format {arguments.format}; give one of them"
    if arguments.format in _ALONE and (arguments.sql or arguments.analyze):
        return f"--format {arguments.format} shows no queries; --sql and --analyze go with text and json"
    return None


def _view(arguments: argparse.Namespace, view: str) -> str:
    explanation, accounts = _explained(arguments)
    match view:
        case "json":
            return json_text({**explanation.to_json(), **({"analysis": accounts} if accounts else {})})
        case "html":
            return explanation.to_html()
        case "mermaid":
            return explanation.to_mermaid()
    parts = [
        f"\nEngine {arguments.engine}, source {source}\n{account.rstrip()}\n" for source, account in accounts.items()
    ]
    return "".join([str(explanation), *parts])


def _give(arguments: argparse.Namespace, text: str) -> None:
    """Print a result, or write it to the file that is asked for."""
    if arguments.output is None:
        write(text)
        return
    path = Path(arguments.output)
    if path.is_dir():
        raise PlanError(f"{path} is a directory: -o names the file to write")
    write_file(path, text if text.endswith("\n") else text + "\n")
    note(arguments, f"{path}: {path.stat().st_size:,} bytes")


def _explained(arguments: argparse.Namespace) -> tuple[Explanation, dict[str, str]]:
    """The explanation, and by source what the engine says of its query, if that is asked."""
    from mixtera.plan import Plan

    directory = plan_directory(arguments.given)
    if directory is not None:
        if arguments.analyze:
            raise _needs_a_spec(arguments.given, "--analyze")
        return _explain(arguments, Plan.open(directory)), {}
    from mixtera.compiler import analyze, overlap

    found, moved = _compiled(arguments)
    pairs = overlap(found.spec, found.catalog, arguments.engine)
    explanation = _explain(arguments, found.plan, pairs, moved)
    return explanation, analyze(found.spec, found.catalog, arguments.engine) if arguments.analyze else {}


def _explain(
    arguments: argparse.Namespace, plan: Plan, overlap: Sequence[Overlap] | None = None, moved: str | None = None
) -> Explanation:
    from mixtera.explanation import explain

    readers, machines, batch = arguments.readers, arguments.machines, arguments.batch
    return explain(plan, readers=readers, overlap=overlap, moved=moved, batch=batch, machines=machines)


def _compiled(arguments: argparse.Namespace) -> tuple[Compiled, str | None]:
    """The spec, compiled; and what is wrong with its lock, which is shown and not refused."""
    try:
        return compiled(arguments.given, arguments.catalog, arguments.engine), None
    except LockError as error:
        found = compiled(arguments.given, arguments.catalog, arguments.engine, Options(locked=False))
        return found, str(error).partition(":\n")[0]


def _sql(arguments: argparse.Namespace, view: str) -> str:
    if plan_directory(arguments.given) is not None:
        raise _needs_a_spec(arguments.given, "--sql")
    from mixtera.compiler import sql

    spec, catalog = spec_and_catalog(arguments.given, arguments.catalog)
    statements = sql(spec, catalog, arguments.dialect or "duckdb")
    if view == "json":
        return json_text(statements)
    return "\n\n".join(f"-- source {source}\n{statement};" for source, statement in statements.items())


def _needs_a_spec(given: str, option: str) -> PlanError:
    return PlanError(
        f"{given} is a plan, which holds no queries: `mixtera explain SPEC {option}` shows those of a spec"
    )
