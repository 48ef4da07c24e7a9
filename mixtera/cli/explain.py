"""`mixtera explain`: what a spec or a plan will do."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from mixtera.cli.given import Compiled, Options, compiled, plan_directory, spec_and_catalog
from mixtera.cli.numbers import whole_number
from mixtera.cli.output import complain, write, write_json
from mixtera.errors import LockError, PlanError

if TYPE_CHECKING:
    from mixtera.explanation import Explanation

NAME: Final = "explain"
HELP: Final = "show what a spec or a plan will do"
_USAGE: Final = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("given", metavar="SPEC|PLAN", help="a spec, whose sources are indexed, or a plan's directory")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="for people or for programs")
    parser.add_argument(
        "--readers", type=whole_number(1), metavar="N", help="ranks × workers of the training: how much more they read"
    )
    parser.add_argument("--engine", default="duckdb", metavar="E", help="engine that compiles (default: duckdb)")
    more = parser.add_mutually_exclusive_group()
    more.add_argument("--sql", action="store_true", help="print only the SQL of each source of a spec")
    more.add_argument("--analyze", action="store_true", help="add the engine's own account of each query of a spec")
    parser.add_argument("--dialect", metavar="D", help="dialect of --sql (default: duckdb)")


def run(arguments: argparse.Namespace) -> int:
    """Explain it; nothing is read but the catalog or the plan."""
    if arguments.dialect and not arguments.sql:
        complain("mixtera explain: --dialect goes with --sql")
        return _USAGE
    as_json = arguments.json or arguments.format == "json"
    if arguments.sql:
        _write_sql(arguments, as_json)
        return 0
    explanation, accounts = _explained(arguments)
    if as_json:
        write_json({**explanation.to_json(), **({"analysis": accounts} if accounts else {})})
    else:
        write(str(explanation))
        for source, account in accounts.items():
            write(f"\nEngine {arguments.engine}, source {source}\n{account.rstrip()}")
    return 0


def _explained(arguments: argparse.Namespace) -> tuple[Explanation, dict[str, str]]:
    """The explanation, and by source what the engine says of its query, if that is asked."""
    from mixtera.explanation import explain
    from mixtera.plan import Plan

    directory = plan_directory(arguments.given)
    if directory is not None:
        if arguments.analyze:
            raise _needs_a_spec(arguments.given, "--analyze")
        return explain(Plan.open(directory), readers=arguments.readers), {}
    from mixtera.compiler import analyze, overlap

    found, moved = _compiled(arguments)
    pairs = overlap(found.spec, found.catalog, arguments.engine)
    explanation = explain(found.plan, readers=arguments.readers, overlap=pairs, moved=moved)
    return explanation, analyze(found.spec, found.catalog, arguments.engine) if arguments.analyze else {}


def _compiled(arguments: argparse.Namespace) -> tuple[Compiled, str | None]:
    """The spec, compiled; and what is wrong with its lock, which is shown and not refused."""
    try:
        return compiled(arguments.given, arguments.catalog, arguments.engine), None
    except LockError as error:
        found = compiled(arguments.given, arguments.catalog, arguments.engine, Options(locked=False))
        return found, str(error).partition(":\n")[0]


def _write_sql(arguments: argparse.Namespace, as_json: bool) -> None:
    if plan_directory(arguments.given) is not None:
        raise _needs_a_spec(arguments.given, "--sql")
    from mixtera.compiler import sql

    spec, catalog = spec_and_catalog(arguments.given, arguments.catalog)
    statements = sql(spec, catalog, arguments.dialect or "duckdb")
    if as_json:
        write_json(statements)
    else:
        write("\n\n".join(f"-- source {source}\n{statement};" for source, statement in statements.items()))


def _needs_a_spec(given: str, option: str) -> PlanError:
    return PlanError(
        f"{given} is a plan, which holds no queries: `mixtera explain SPEC {option}` shows those of a spec"
    )
