"""Logs of the service: a line of JSON for each message, on stderr; beside the audit log, which has what was asked."""

from __future__ import annotations

import datetime
import logging
import sys
from typing import Final

import msgspec

_LOGGERS: Final = ("mixtera", "uvicorn", "asyncio")
_MOST_CHARACTERS: Final = 8_000
_CUT_SHORT: Final = "ASGI callable returned without completing response."
"""What uvicorn says of an answer that is cut short, as ours are on purpose: the client asks again, and is told why."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the log."""

    time: str
    level: str
    logger: str
    message: str
    traceback: str | None = None


class Lines(logging.Formatter):
    """Makes lines of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
        traceback = _encodable(self.formatException(record.exc_info)[-_MOST_CHARACTERS:]) if record.exc_info else None
        message = _encodable(record.getMessage()[:_MOST_CHARACTERS])
        return msgspec.json.encode(Entry(at, record.levelname.lower(), record.name, message, traceback)).decode()


def _encodable(text: str) -> str:
    """A text without what no encoding has, such as parts of a file's name."""
    return text.encode("utf-8", "replace").decode()


def configure() -> None:
    """Send what this process logs to stderr as lines of JSON. To be called once, by the process of the service."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO if name == "mixtera" else logging.WARNING)
    handler.addFilter(lambda record: record.getMessage() != _CUT_SHORT)
