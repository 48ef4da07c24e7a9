"""A real PostgreSQL for tests: a cluster of its own on a free port of 127.0.0.1, ended by its process id."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.ports import free_ports

USER, PASSWORD = "mixer", "secret-that-no-message-holds"
START_SECONDS = 300
START_ATTEMPTS = 5
NOBODY = "nobody"
"""Who runs the server where the tests are run by root, which PostgreSQL refuses."""


def programs() -> Path | None:
    """The directory of PostgreSQL's own programs, of the newest version; None where there are none."""
    found = [Path(path).resolve().parent for path in (shutil.which("initdb"),) if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


class Postgres:
    """The server; `stop` ends it. Its directory must be one that its user can get to."""

    def __init__(self, directory: Path) -> None:
        folder = programs()
        if folder is None:
            raise RuntimeError("no PostgreSQL is installed: there is no initdb")
        self._programs, self._directory = folder, directory
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Make the cluster, start it, and wait until it answers."""
        self._directory.mkdir(parents=True, exist_ok=True)
        password = self._directory / "password"
        password.write_text(PASSWORD)
        self._give(self._directory, password)
        made = [f"--pgdata={self._directory / 'data'}", f"--username={USER}", f"--pwfile={password}"]
        made += ["--auth=scram-sha-256", "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync"]
        self._run("initdb", *made)
        for _ in range(START_ATTEMPTS):
            (self.port,) = free_ports(1)
            self._launch()
            if self._answers():
                return
            self.stop()
        raise RuntimeError("PostgreSQL did not start:\n" + (self._directory / "log").read_text(errors="replace"))

    def _give(self, *paths: Path) -> None:
        """Let the server's user have some files."""
        if not os.geteuid():
            for path in paths:
                shutil.chown(path, NOBODY)

    def _as_user(self) -> dict[str, str]:
        return {} if os.geteuid() else {"user": NOBODY}

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self._directory, timeout=START_SECONDS, **self._as_user()
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")

    def _launch(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "20",
            "shared_buffers": "32MB",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._directory / "data"), *options],
                stdout=log,
                stderr=log,
                cwd=self._directory,
                start_new_session=True,
                **self._as_user(),
            )

    def _answers(self) -> bool:
        import psycopg

        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                psycopg.connect(self.url, connect_timeout=60).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        return False

    def stop(self) -> None:
        """End it at once, and wait until it is gone."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None
