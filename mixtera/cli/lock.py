"""`mixtera lock`: writes down what a spec compiles to, or tells what has moved since."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from mixtera.cli.given import spec_and_catalog
from mixtera.cli.options import add_engine
from mixtera.cli.output import complain, note, write, write_json
from mixtera.errors import CatalogError

if TYPE_CHECKING:
    from mixtera.catalog import Catalog
    from mixtera.lockfile import Lock
    from mixtera.lockfile.difference import Change, SourceChange
    from mixtera.lockfile.model import Scalar
    from mixtera.spec import Spec

NAME: Final = "lock"
HELP: Final = "write down what a spec compiles to, or tell what has moved since"
_MOVED: Final = 1
_USAGE: Final = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("spec", metavar="SPEC", help="a spec, whose sources are indexed")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 and print the difference if anything has moved"
    )
    parser.add_argument(
        "--portable", action="store_true", help="leave out times and etags of files, which copies of them do not keep"
    )
    parser.add_argument("--file", metavar="FILE", help="the lock (default: SPEC.lock, where `compile` looks for it)")
    add_engine(parser, "that compiles")


def run(arguments: argparse.Namespace) -> int:
    """Write the lock, or hold the spec against it."""
    if arguments.check and arguments.portable:
        complain("mixtera lock: --portable says how a lock is written; --check writes none")
        return _USAGE
    from mixtera.lockfile import lock_path

    path = arguments.file or lock_path(arguments.spec)
    if arguments.check:
        return _check(arguments, path)
    from mixtera.compiler import lock

    spec, catalog = spec_and_catalog(arguments.spec, arguments.catalog)
    made = lock(spec, catalog, engine=arguments.engine, portable=arguments.portable)
    if not arguments.portable and _was_portable(path):
        note(arguments, f"{path} was portable; `--portable` keeps it so")
    made.save(path)
    _report(arguments, made, path)
    return 0


def _was_portable(path: str) -> bool:
    """Whether the lock that will be replaced leaves out times and etags."""
    from mixtera.errors import LockError
    from mixtera.lockfile import Lock

    try:
        return Lock.open(path).is_portable
    except LockError:
        return False


def _report(arguments: argparse.Namespace, made: Lock, path: str) -> None:
    body = made.body
    files = sum(len(source.files) for source in body.sources)
    if arguments.json:
        write_json(
            {
                "lock": path,
                "digest": made.digest,
                "plan": body.plan,
                "positions": body.positions,
                "samples": body.samples,
                "sources": len(body.sources),
                "files": files,
            }
        )
        return
    write(made.digest)
    note(
        arguments,
        f"{path}: {files:,} file{'' if files == 1 else 's'}, {body.samples:,} samples, {len(body.components):,} "
        f"components, plan {body.plan}",
    )


def _check(arguments: argparse.Namespace, path: str) -> int:
    from mixtera.compiler import unindexed
    from mixtera.lockfile import Lock
    from mixtera.lockfile.difference import sources_to_json
    from mixtera.lockfile.show import COPIED, show, show_sources

    held = Lock.open(path)
    spec, catalog = spec_and_catalog(arguments.spec, arguments.catalog)
    behind = unindexed(spec, catalog)
    try:
        now = _now(arguments, spec, catalog)
    except CatalogError:
        if tokens := _tokens_moved(held, spec):
            return _report_uncounted(arguments, path, tokens, behind)
        raise
    found = held.difference(now)
    moved = found.moved or bool(behind)
    if arguments.json:
        write_json({**found.to_json(), "moved": moved, "unindexed": sources_to_json(behind)})
        return _MOVED if moved else 0
    if found.moved:
        write(show(found, path, arguments.spec))
    if behind:
        write("not indexed yet: the files are not as the catalog knows them\n" + show_sources(behind))
    if not moved:
        note(arguments, f"{arguments.spec} compiles to what {path} says{_asides(found.spec_lines() != [])}")
        return 0
    index = f"mixtera index {arguments.spec}; " if behind else ""
    remedy = f"`{index}mixtera lock {arguments.spec}` locks it anew"
    copied = f". {COPIED}" if found.only_times and not behind else ""
    complain(f"{arguments.spec} has moved since {path} was written; {remedy}{copied}")
    return _MOVED


def _tokens_moved(held: Lock, spec: Spec) -> tuple[Change[Scalar], ...]:
    """What differs in the tokens that a spec asks for."""
    from mixtera.lockfile.difference import tokens_moved
    from mixtera.tokens.parameters import token_parameters

    return tokens_moved(held.body, None if spec.tokens is None else token_parameters(spec.tokens))


def _report_uncounted(
    arguments: argparse.Namespace, path: str, tokens: tuple[Change[Scalar], ...], behind: tuple[SourceChange, ...]
) -> int:
    """Tell that the tokenizer, or what is made of documents, is another, which the catalog has no counts by."""
    from mixtera.lockfile.difference import sources_to_json
    from mixtera.lockfile.show import show_settings, show_sources

    if arguments.json:
        settings = [asdict(one) for one in tokens]
        write_json({"moved": True, "settings": settings, "uncounted": True, "unindexed": sources_to_json(behind)})
        return _MOVED
    write(show_settings(tokens, "tokens"))
    if behind:
        write("not indexed yet: the files are not as the catalog knows them\n" + show_sources(behind))
    complain(
        f"{arguments.spec} has moved since {path} was written, and nothing is counted by its tokenizer yet; `mixtera "
        f"index {arguments.spec}; mixtera lock {arguments.spec}` counts and locks it anew"
    )
    return _MOVED


def _asides(written_otherwise: bool) -> str:
    return " (its lines differ, and mean the same plan)" if written_otherwise else ""


def _now(arguments: argparse.Namespace, spec: Spec, catalog: Catalog) -> Lock:
    from mixtera.compiler import compile
    from mixtera.lockfile import Lock

    plan = compile(spec, catalog, engine=arguments.engine, lock=None)
    return Lock.of(plan.data, plan.digest, spec.lines)
