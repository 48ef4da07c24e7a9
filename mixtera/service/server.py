"""The process of the service: where it listens, and how it ends."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import uvicorn

from mixtera.errors import JobError, StorageError
from mixtera.service import logs
from mixtera.service.app import application
from mixtera.service.asking import Door, Limits
from mixtera.service.audit import Audit
from mixtera.service.endpoint import House
from mixtera.service.held import HeldJobs
from mixtera.service.reading import Reads
from mixtera.service.tokens import Tokens, load

BACKLOG: Final = 4096
END_SECONDS: Final = 5
"""Until requests that are under way are given up, when the service ends."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a service runs.

    Attributes:
        jobs: Directory of its jobs.
        plans: Directory of the plans that it makes jobs of; None: it makes none.
        host: Address that it listens at.
        port: Port; 0: any that is free.
        tokens: File with tokens; None: those of the environment, if there are any.
        certificate: File with the server's certificate; None: no TLS.
        key: File with the key to it.
        client_ca: File with the certificates that clients' certificates must come from; None: clients need none.
        insecure: Whether it may listen to other machines without tokens or without TLS.
        audit: File of the audit log; None: stderr.
        limits: What requests may take.
    """

    jobs: str
    plans: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    tokens: str | None = None
    certificate: str | None = None
    key: str | None = None
    client_ca: str | None = None
    insecure: bool = False
    audit: str | None = None
    limits: Limits = field(default_factory=Limits)


def serve(settings: Settings, ready: Callable[[str, int], None]) -> None:
    """Serve until the process is told to end (SIGINT, SIGTERM).

    Args:
        settings: How.
        ready: Called with the URL and the number of jobs, when requests are taken.

    Raises:
        JobError: Another service has the directory, or what is asked would let everybody in.
        StorageError: Something cannot be read or written, or the address is taken.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn ends by itself, and then raises them again
        signal.signal(number, lambda number, frame: sys.exit(0))
    tokens = load(settings.tokens)
    _check_safe(settings, tokens)
    context = _context(settings)
    audit = Audit(settings.audit)
    jobs = HeldJobs(settings.jobs, settings.plans)
    reads = Reads(settings.limits.reads)
    try:
        with _listening(settings.host, settings.port) as listener:
            url = f"{'https' if context else 'http'}://{_named(settings.host)}:{listener.getsockname()[1]}"
            jobs.sign(f"the service {url} (process {os.getpid()} on {socket.gethostname()})")
            house = House(jobs, Door(tokens, settings.limits), audit, reads)
            config = _config(settings, house, context)
            server = _Server(config, lambda: ready(url, len(jobs.names())), house.ending)
            logs.configure()
            server.run(sockets=[listener])
    finally:
        reads.close()
        jobs.close()


class _Server(uvicorn.Server):
    """Says when it is ready, and when it ends."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], ending: asyncio.Event) -> None:
        super().__init__(config)
        self._ready, self._ending = ready, ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending.set()
        await super().shutdown(sockets)


def _config(settings: Settings, house: House, context: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        application(house),
        log_config=None,
        access_log=False,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        limit_concurrency=settings.limits.connections,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=END_SECONDS,
        ssl_certfile=settings.certificate,
        ssl_context_factory=None if context is None else lambda config, default: context,
    )


def _check_safe(settings: Settings, tokens: Tokens | None) -> None:
    if (settings.key is None) != (settings.certificate is None):
        raise JobError("TLS needs both --tls-cert and --tls-key")
    if settings.client_ca is not None and settings.certificate is None:
        raise JobError("--client-ca is for TLS: give --tls-cert and --tls-key, too")
    if settings.insecure or _is_loopback(settings.host):
        return
    missing = [
        what
        for what, lacks in (("tokens (--tokens)", tokens is None), ("TLS (--tls-cert)", settings.certificate is None))
        if lacks
    ]
    if missing:
        raise JobError(
            f"{settings.host} can be reached from other machines, and there are no {' and no '.join(missing)}: give "
            "them, listen at 127.0.0.1, or say --insecure where something else keeps strangers out"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _context(settings: Settings) -> ssl.SSLContext | None:
    if settings.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
        if settings.client_ca is not None:
            context.load_verify_locations(settings.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise StorageError(
            f"TLS: {settings.certificate}, {settings.key}, {settings.client_ca}: {error}; these are PEM files"
        ) from error
    return context


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StorageError(f"cannot listen at {host}: {error.strerror or error}; give another --host") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)  # an address that is taken is found out here
    except OSError as error:
        listener.close()
        raise StorageError(f"cannot listen at {host}:{port}: {error.strerror or error}; give another --port") from error
    return listener


def _named(host: str) -> str:
    return f"[{host}]" if ":" in host else host
