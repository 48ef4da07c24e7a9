"""A real S3 server for tests: SeaweedFS on free ports of 127.0.0.1, ended by its process id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import botocore.config
import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from tests.ports import free_ports

KEY, SECRET, BUCKET = "mixkey", "mixsecret-that-no-message-holds", "mix"
START_SECONDS = 300
ATTEMPT_SECONDS = 120
"""A server that runs and does not answer for so long is started anew; one whose process ends is at once."""
HTTP_PORTS = (
    "master.port",
    "volume.port",
    "filer.port",
    "s3.port",
    "s3.port.iceberg",
    "s3.port.lance",
    "admin.port",
    "webdav.port",
)
GRPC_PORTS = ("master.port.grpc", "volume.port.grpc", "filer.port.grpc", "s3.port.grpc", "admin.port.grpc")

_OPTIONS = (
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-admin.ui=false",
    "-webdav=false",
    "-master.telemetry=false",
    "-s3.cacheCapacityMB=512",
)


class Weed:
    """The server; `kill` and `start` may be called again and again, its data stay."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._known = False
        self._take_ports()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What leads a client to it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Start it and wait until it answers; any HTTP status counts.

        A port may be taken between the moment it was found free and now: then once more, with other ports if nobody
        knows the old ones yet.
        """
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            self._launch()
            deadline = min(end, time.monotonic() + ATTEMPT_SECONDS)
            if self._answers(deadline) and self._has_bucket(deadline):
                self._known = True
                return
            self.kill()
            time.sleep(0.5)
            if not self._known:
                self._take_ports()
        raise RuntimeError("SeaweedFS did not start:\n" + (self._directory / "weed.log").read_text(errors="replace"))

    def _take_ports(self) -> None:
        self._ports = free_ports(len(HTTP_PORTS) + len(GRPC_PORTS))
        self.port = self._ports[HTTP_PORTS.index("s3.port")]

    def _launch(self) -> None:
        data = self._directory / "data"
        data.mkdir(parents=True, exist_ok=True)
        program = Path(sys.executable).with_name("weed")
        ports = [f"-{name}={port}" for name, port in zip(HTTP_PORTS + GRPC_PORTS, self._ports, strict=True)]
        with (self._directory / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(program), "mini", f"-dir={data}", f"-bucket={BUCKET}", *_OPTIONS, *ports],
                stdout=log,
                stderr=log,
                env={**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "HOME": str(data)},
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _has_bucket(self, deadline: float) -> bool:
        """Wait for the bucket, which it makes after it has begun to answer."""
        client = _client(self.url)
        try:
            while time.monotonic() < deadline and self._runs():
                try:
                    client.head_bucket(Bucket=BUCKET)
                except (ClientError, BotoCoreError):
                    time.sleep(0.05)
                else:
                    return True
        finally:
            client.close()
        return False

    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _answers(self, deadline: float) -> bool:
        """Wait for an answer; False when the process ends instead."""
        while time.monotonic() < deadline and self._runs():
            try:
                connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
                connection.request("GET", "/")
                connection.getresponse().read()
            except OSError:
                time.sleep(0.1)
            else:
                return True
            finally:
                connection.close()
        return False


def _client(url: str) -> Any:
    session = botocore.session.get_session()
    patience = botocore.config.Config(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
    return session.create_client("s3", endpoint_url=url, region_name="us-east-1", config=patience, **keys)
