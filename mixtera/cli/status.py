"""`mixtera status`: how far a job is, what its weights are, and who reads it."""

from __future__ import annotations

import argparse
from typing import Any, Final

from mixtera.cli.aligned import aligned
from mixtera.cli.output import write, write_json

NAME: Final = "status"
HELP: Final = "show how far a job is, its weights, and who reads it"
PATIENCE_SECONDS: Final = 10.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("job", metavar="JOB", help="http(s)://HOST:PORT/jobs/NAME, or the directory of a local job")
    parser.add_argument("--token-file", metavar="FILE", help="a file with the token (default: $MIXTERA_TOKEN)")
    parser.add_argument("--ca", metavar="FILE", help="certificates that the service's certificate comes from")
    parser.add_argument("--cert", metavar="FILE", help="the client's own certificate (PEM)")
    parser.add_argument("--key", metavar="FILE", help="the key to it (PEM)")


def run(arguments: argparse.Namespace) -> int:
    """Show it."""
    found = _status(arguments)
    if arguments.json:
        write_json(found)
    else:
        write(_text(arguments.job, found))
    return 0


def _status(arguments: argparse.Namespace) -> dict[str, Any]:
    from mixtera.jobs import Job

    if "://" not in arguments.job:
        with Job.local(None, arguments.job) as job:
            return job.status()
    from mixtera.jobs.client import Options, ServiceJob

    options: Options = {"patience": PATIENCE_SECONDS}
    if arguments.token_file is not None:
        options["token_file"] = arguments.token_file
    if arguments.ca is not None:
        options["ca"] = arguments.ca
    if arguments.cert is not None:
        options["certificate"], options["key"] = arguments.cert, arguments.key or arguments.cert
    return ServiceJob.status_of(arguments.job, **options)


def _text(where: str, found: dict[str, Any]) -> str:
    shares = zip(found["components"], found["weights"], strict=True)
    lines = [
        f"{where}: {found['name']}, {found['plan']}",
        f"step {found['step']}, promised up to position {found['promised']:,}{_end(found)}"
        if found["step"] >= 0
        else f"no feedback yet, promised up to position {found['promised']:,}{_end(found)}",
        f"weights since position {found['since']:,}, changed {found['changes']} times "
        f"({found['algorithm'] or 'the plan does not follow the training'})",
    ]
    if found["checkpoint"] is not None:
        lines.append(f"last checkpoint at position {found['checkpoint']:,}")
    if found["topology"] is not None:
        topology = found["topology"]
        lines.append(
            f"read by {topology['world_size']} ranks, {topology['batch_size']} samples a batch, from position "
            f"{topology['start']:,}"
        )
    if found["fit"] is not None:
        lines.append(f"a fit of step {found['fit']} is under way, {found['waiting']} reports wait for it")
    if found.get("skipped"):
        lines.append(f"at {found['skipped']:,} positions another sample came, since theirs could not be read")
    table = aligned(("component", "share"), [(name, f"{share:.4f}") for name, share in shares])
    return "\n".join([*lines, "", table, *_readers(found.get("readers", []))])


def _end(found: dict[str, Any]) -> str:
    return "" if found["end"] is None else f" of {found['end']:,}"


def _readers(readers: list[dict[str, Any]]) -> list[str]:
    if not readers:
        return []
    rows = [
        (
            reader["rank"],
            reader["worker"],
            f"{reader['position']:,}",
            f"{reader['seconds']:.0f} s ago" + (", gone" if reader["gone"] else ""),
            reader["process"],
        )
        for reader in readers
    ]
    return ["", aligned(("rank", "worker", "position", "heard of", "process"), rows)]
