"""Logs: a line of JSON for each message, whatever is in it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

from mixtera.service.logs import Lines

PROGRAM = """
import logging
from mixtera.service.logs import configure
configure()
log = logging.getLogger("mixtera.jobs.fits")
log.debug("not this")
log.info("line\\nbreak and \\udc80 %s", "é")
try:
    raise ValueError("wrong")
except ValueError:
    logging.getLogger("uvicorn.error").exception("failed")
"""


def test_every_message_is_a_line() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, timeout=600)
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert (first["level"], first["logger"]) == ("info", "mixtera.jobs.fits")
    assert first["message"] == "line\nbreak and ? é"
    assert first["time"].endswith("+00:00")
    assert "traceback" not in first
    assert second["level"] == "error"
    assert second["traceback"].endswith("ValueError: wrong")


def test_a_message_has_an_end() -> None:
    record = logging.LogRecord("mixtera", logging.ERROR, "", 1, "x" * 100_000, None, None)
    assert len(Lines().format(record)) < 10_000
