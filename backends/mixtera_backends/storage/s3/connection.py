"""Where requests go and with whose rights: what botocore makes of the environment and of `~/.aws`, for both clients."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mixtera.errors import PluginError, StorageError
from mixtera_backends.storage.s3.failures import CREDENTIALS_ADVICE, misconfigured
from mixtera_backends.storage.s3.patience import Patience
from mixtera_backends.storage.s3.place import DEFAULT_REGION, Place, known_place
from mixtera_backends.storage.s3.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from obstore.store import ClientConfig, S3Credential, S3Store

_NAME_ATTEMPTS: Final = 4
_INSTALL: Final = "S3 needs {}: pip install 'mixtera[s3]'"


class Connection:
    """Makes both clients. Belongs to one process and one environment.

    That of botocore is made for the first request that needs it: what it knows of all of AWS takes 15 MB, for which
    whoever only reads what a plan holds has no use.
    """

    def __init__(self, patience: Patience, settings: Settings) -> None:
        """Read the configuration.

        Raises:
            PluginError: botocore is not installed.
            StorageError: The configuration is broken, or the host of the endpoint is not known.
        """
        try:
            import botocore.session
        except ImportError as error:
            raise PluginError(_INSTALL.format("botocore")) from error
        self._patience, self._settings = patience, settings
        self.anonymous = settings.anonymous
        self._client: BaseClient | None = None
        self._making = threading.Lock()
        with _configured():
            self._session = botocore.session.Session(profile=settings.profile)
            self._certificates = self._session.get_config_variable("ca_bundle")
            self._credentials = None if self.anonymous else self._session.get_credentials()
            where = known_place(self._session, settings) or self._asked_place()
        self.endpoint, self._region, self._style = where
        _check_host(self.endpoint)

    @property
    def client(self) -> BaseClient:
        """Botocore's client.

        Raises:
            StorageError: The configuration is broken.
        """
        if self._client is None:
            with self._making, _configured():
                if self._client is None:
                    self._client = self._made()
        return self._client

    def _made(self) -> BaseClient:
        from botocore import UNSIGNED
        from botocore.config import Config

        patience, settings = self._patience, self._settings
        config = Config(
            connect_timeout=patience.connect_seconds,
            read_timeout=patience.answer_seconds,
            retries={"mode": "standard", "total_max_attempts": patience.attempts},
            max_pool_connections=settings.concurrency,
            **({"signature_version": UNSIGNED} if self.anonymous else {}),
        )
        where = {"region_name": settings.region, "endpoint_url": settings.endpoint_url}
        return self._session.create_client("s3", config=config, **where)

    def _asked_place(self) -> Place:
        """The place as botocore's client has it."""
        meta = self.client.meta
        region = DEFAULT_REGION if meta.region_name in (None, "", "aws-global") else meta.region_name
        return Place(meta.endpoint_url, region, (meta.config.s3 or {}).get("addressing_style"))

    def store(self, bucket: str) -> S3Store:
        """Obstore's client of a bucket.

        Raises:
            PluginError: obstore is not installed.
        """
        try:
            from obstore.store import S3Store
        except ImportError as error:
            raise PluginError(_INSTALL.format("obstore")) from error
        patience = self._patience
        return S3Store(
            bucket,
            **self._addressing(bucket),
            region=self._region,
            client_options={
                "allow_http": self.endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=patience.connect_seconds),
                "timeout": timedelta(seconds=patience.answer_seconds),
                **self._root_certificate(),
            },
            retry_config={
                "max_retries": 1000,  # the budget ends it
                "backoff": {
                    "init_backoff": timedelta(seconds=patience.first_pause_seconds),
                    "max_backoff": timedelta(seconds=patience.longest_pause_seconds),
                    "base": 2,
                },
                "retry_timeout": timedelta(seconds=patience.budget_seconds),
            },
            **({"skip_signature": True} if self.anonymous else {"credential_provider": self._provider(bucket)}),
        )

    def _addressing(self, bucket: str) -> dict[str, Any]:
        """Endpoint and style as botocore chooses them: the bucket in the path, unless it is AWS or was asked for."""
        parts = urlsplit(self.endpoint)
        style = self._style
        if (parts.hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn")):
            return {"virtual_hosted_style_request": style != "path" and "." not in bucket}
        if style == "virtual":
            host = f"{parts.scheme}://{bucket}.{parts.netloc}{parts.path}"
            return {"endpoint": host, "virtual_hosted_style_request": True}
        return {"endpoint": self.endpoint, "virtual_hosted_style_request": False}

    def _root_certificate(self) -> ClientConfig:
        if not self._certificates:
            return {}
        try:
            with open(self._certificates, "rb") as file:  # noqa: PTH123 - a name from the configuration
                return {"root_certificate": file.read()}
        except OSError as error:
            raise StorageError(
                f"the certificates of S3 servers cannot be read from {self._certificates}: {error.strerror}; check "
                "AWS_CA_BUNDLE, or `ca_bundle` in ~/.aws/config"
            ) from error

    def _provider(self, bucket: str) -> Callable[[], S3Credential]:
        credentials = self._credentials
        if credentials is None:
            raise StorageError(f"s3://{bucket} cannot be read: there are no AWS credentials: {CREDENTIALS_ADVICE}")

        def current() -> S3Credential:
            """Called by obstore when it has none, or those it has expire."""
            frozen = credentials.get_frozen_credentials()  # botocore renews them
            expires: datetime | None = getattr(credentials, "_expiry_time", None)
            return {
                "access_key_id": frozen.access_key,
                "secret_access_key": frozen.secret_key,
                "token": frozen.token,
                "expires_at": None if expires is None else expires.astimezone(UTC),  # it takes no other time zone
            }

        return current


@contextmanager
def _configured() -> Iterator[None]:
    """Have what botocore says of a broken configuration be a `StorageError`."""
    from botocore.exceptions import BotoCoreError

    try:
        yield
    except (BotoCoreError, ValueError) as error:
        raise StorageError(misconfigured(error)) from error


def environment() -> tuple[tuple[str, str], ...]:
    """What of the environment decides where requests go and with whose rights."""
    names = ("HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
    return tuple(
        (name, value) for name, value in os.environ.items() if name.startswith(("AWS_", "MIXTERA_S3_")) or name in names
    )


def _check_host(endpoint: str) -> None:
    """Refuse a host that nobody knows at once: both clients would ask again and again."""
    from urllib.request import getproxies  # 10 ms, which whoever reads no objects has no use for

    parts = urlsplit(endpoint)
    if "@" in parts.netloc:  # every message names the endpoint
        raise StorageError(
            f"the S3 endpoint at {parts.netloc.rpartition('@')[2]} is written with a name or a password before the @, "
            f"of which S3 knows none: leave them out of AWS_ENDPOINT_URL, and {CREDENTIALS_ADVICE}"
        )
    if getproxies() or not parts.hostname:
        return
    port = None
    with suppress(ValueError):
        port = parts.port
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

    attempts = Retrying(
        retry=retry_if_exception(lambda error: getattr(error, "errno", None) == socket.EAI_AGAIN),
        wait=wait_exponential(0.25),
        stop=stop_after_attempt(_NAME_ATTEMPTS),
        reraise=True,
    )
    try:
        attempts(socket.getaddrinfo, parts.hostname, port or 443)
    except socket.gaierror as error:
        raise StorageError(
            f"the host {parts.hostname} of the S3 endpoint {endpoint} is not known ({error.strerror}): "
            "check AWS_ENDPOINT_URL, AWS_REGION and the network"
        ) from error
