"""`mixtera jobs`: makes jobs and tokens on the machine of a service, and lists jobs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from mixtera.cli.aligned import aligned
from mixtera.cli.options import add_common
from mixtera.cli.output import note, write, write_json

NAME: Final = "jobs"
HELP: Final = "make jobs and tokens for a service, and list its jobs"
_Action = Callable[[argparse.Namespace], None]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their arguments."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    create = _action(actions, "create", "make a job of a plan; a service that runs finds it", _create)
    create.add_argument("name", metavar="NAME", help="the job's name: letters, digits, `.`, `_`, `-`")
    create.add_argument("plan", metavar="PLAN", help="the plan: a directory, or a URL")
    create.add_argument("--jobs", required=True, metavar="DIR", help="the directory that `mixtera serve` has")
    ls = _action(actions, "ls", "list the jobs of a directory, or of a service", _ls)
    ls.add_argument("where", metavar="DIR|URL", help="the directory, or the service's URL ($MIXTERA_TOKEN)")
    ls.add_argument("--ca", metavar="FILE", help="certificates that the service's certificate comes from")
    token = _action(actions, "token", "make a token: itself on stdout once, its entry for --tokens beside it", _token)
    token.add_argument("name", metavar="NAME", help="what the audit log calls it")
    token.add_argument("--role", required=True, choices=("read", "train", "admin"), help="what it may do")
    token.add_argument("--job", action="append", metavar="PATTERN", help="only for jobs of such names (default: all)")
    token.add_argument("-o", "--output", metavar="FILE", help="append the entry to this file, and print the token only")


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    action: _Action = arguments.action
    action(arguments)
    return 0


def _action(actions: Any, name: str, help_: str, action: _Action) -> argparse.ArgumentParser:  # noqa: ANN401
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_, description=help_, allow_abbrev=False)
    parser.set_defaults(action=action)
    add_common(parser, below=True)
    return parser


def _create(arguments: argparse.Namespace) -> None:
    from mixtera.service.directory import create

    digest = create(Path(arguments.jobs), arguments.name, arguments.plan)
    if arguments.json:
        write_json({"job": arguments.name, "plan": digest})
    else:
        write(f"{arguments.name} of {digest}")


def _ls(arguments: argparse.Namespace) -> None:
    if "://" in arguments.where:
        from mixtera.jobs.client import Options, Service

        options: Options = {"patience": 10.0} if arguments.ca is None else {"patience": 10.0, "ca": arguments.ca}
        with Service(arguments.where, **options) as service:
            rows = [{"job": entry.job, "plan": entry.plan, "problem": entry.problem} for entry in service.jobs()]
    else:
        from mixtera.service.directory import names

        rows = [{"job": name, "plan": None, "problem": None} for name in names(Path(arguments.where))]
    if arguments.json:
        write_json(rows)
    elif rows:
        write(aligned(("job", "plan"), [(row["job"], row["problem"] or row["plan"] or "") for row in rows]))
    else:
        note(arguments, f"no jobs in {arguments.where}: `mixtera jobs create NAME PLAN --jobs DIR` makes one")


def _token(arguments: argparse.Namespace) -> None:
    from mixtera.service.tokens import entry, made

    token = made()
    text = entry(arguments.name, token, arguments.role, arguments.job or ["*"])
    if arguments.output:
        with Path(arguments.output).open("a", encoding="utf-8") as file:
            file.write(text)
        write(token)
    elif arguments.json:
        write_json({"token": token, "entry": text})
    else:
        write(f"{token}\n\n{text}")
