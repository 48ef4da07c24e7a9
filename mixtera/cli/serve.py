"""`mixtera serve`: the service that trainings attach to."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from mixtera.cli.numbers import whole_number
from mixtera.cli.output import write
from mixtera.errors import PluginError

NAME: Final = "serve"
HELP: Final = "serve the jobs of a directory to trainings on any machine"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("--jobs", required=True, metavar="DIR", help="directory of the jobs; made if it is not there")
    parser.add_argument("--plans", metavar="DIR", help="let admins make jobs of the plans in this directory")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine only)")
    parser.add_argument("--port", type=whole_number(0), default=0, metavar="N", help="port (default: one that is free)")
    parser.add_argument(
        "--reads", type=whole_number(1), default=64, metavar="N", help="streams read through it at a time (default: 64)"
    )
    security = parser.add_argument_group("security")
    security.add_argument(
        "--tokens", metavar="FILE", help="who may do what; see `mixtera jobs token` (default: $MIXTERA_TOKENS)"
    )
    security.add_argument("--tls-cert", metavar="FILE", help="the server's certificate (PEM)")
    security.add_argument("--tls-key", metavar="FILE", help="the key to it (PEM)")
    security.add_argument("--client-ca", metavar="FILE", help="clients must have a certificate that comes from these")
    security.add_argument(
        "--insecure", action="store_true", help="listen to other machines even without tokens or without TLS"
    )
    security.add_argument("--audit", metavar="FILE", help="append the audit log here (default: stderr)")
    security.add_argument(
        "--rate", type=whole_number(1), default=5_000, metavar="N", help="requests a second of a token (default: 5000)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to end."""
    try:
        from mixtera.service.asking import Limits
        from mixtera.service.server import Settings, serve
    except ModuleNotFoundError as error:
        raise PluginError(f"serve needs {error.name}: pip install 'mixtera[serve]'") from error

    def ready(url: str, jobs: int) -> None:
        write(f"{url} serves {jobs} {'job' if jobs == 1 else 'jobs'} of {arguments.jobs}")
        sys.stdout.flush()

    serve(
        Settings(
            jobs=arguments.jobs,
            plans=arguments.plans,
            host=arguments.host,
            port=arguments.port,
            tokens=arguments.tokens,
            certificate=arguments.tls_cert,
            key=arguments.tls_key,
            client_ca=arguments.client_ca,
            insecure=arguments.insecure,
            audit=arguments.audit,
            limits=Limits(per_second=float(arguments.rate), burst=4.0 * arguments.rate, reads=arguments.reads),
        ),
        ready,
    )
    return 0
