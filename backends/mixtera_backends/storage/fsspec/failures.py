"""What fsspec's implementations raise → a `StorageError` that says which URL, why, and what to do."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Final, TypeVar

from mixtera.errors import MixteraError, PluginError, StorageError
from mixtera.pauses import pauses
from mixtera.spec.paths import without_credentials

ATTEMPTS: Final = 8
FIRST_PAUSE_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 10.0
BUDGET_SECONDS: Final = 120.0
"""No attempt begins so long after the first."""
_GONE: Final = (404, 410)
_REFUSED: Final = (401, 403, 407)

Result = TypeVar("Result")


def asked(url: str, call: Callable[[], Result]) -> Result:
    """The result of a call; asked again after a pause, when it may succeed then.

    Raises:
        StorageError: It failed for good. Its cause is a `FileNotFoundError` where there is no such file.
    """
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay

    attempts = Retrying(
        retry=retry_if_exception(lambda error: not isinstance(error, MixteraError) and is_temporary(reason_of(error))),
        wait=pauses(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS),
        stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(BUDGET_SECONDS),
        reraise=True,
    )
    try:
        return attempts(call)
    except MixteraError:
        raise
    except Exception as error:  # noqa: BLE001 - every implementation of fsspec has errors of its own
        reason = reason_of(error)
        raise failed(url, reason) from reason


def reason_of(error: BaseException) -> BaseException:
    """Why a call failed: the implementation of http calls everything a file that is not there."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and cause is not None and _status(cause) not in _GONE:
        return cause
    return error


def is_temporary(error: BaseException) -> bool:
    """Whether the same call may succeed a little later."""
    status = _status(error)
    if status is not None:
        return status in (408, 429) or status >= 500
    return not _is_unknown_host(error) and isinstance(error, (ConnectionError, TimeoutError, *_interruptions()))


def failed(url: str, error: BaseException) -> MixteraError:
    """The error for a call that failed for good; it repeats no password of the URL."""
    url = without_credentials(url)
    status = _status(error)
    if isinstance(error, ImportError):
        return PluginError(f"{url} needs a package that is not installed: {error}")
    if isinstance(error, FileNotFoundError) or status in _GONE:
        return StorageError(f"no file {url}: check the URL")
    return StorageError(f"{url} cannot be read or written: {_why(error, status)}")


def _why(error: BaseException, status: int | None) -> str:
    text = without_credentials(" ".join(str(error).split()))[:200]
    if isinstance(error, PermissionError) or status in _REFUSED:
        return f"access denied ({status or text}); give credentials as fsspec's package for this scheme wants them"
    if type(error).__name__ == "TooManyRedirects":
        return "the server redirects without end: check the URL"
    if _is_unknown_host(error):
        return "the host is not known: check the URL and the network"
    if isinstance(error, TimeoutError):
        return "no answer in time: check the network, or try again later"
    if status is not None:
        return f"the server answers {status}" + (", again and again: try again later" if is_temporary(error) else "")
    if is_temporary(error):
        return f"no answer ({text or type(error).__name__}): check the URL, the network, the server"
    if isinstance(error, RuntimeError) and not text:
        return "the package for this scheme cannot do it"
    return f"{type(error).__name__}{': ' if text else ''}{text}"


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error holds, under the names that the packages give it."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("status", "status_code", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int):
                return value if 100 <= value < 600 else None
    return None


def _is_unknown_host(error: BaseException) -> bool:
    return isinstance(error, socket.gaierror) or isinstance(getattr(error, "os_error", None), socket.gaierror)


def _interruptions() -> tuple[type[BaseException], ...]:
    """Aiohttp's errors for connections that end too early, where it is in use."""
    client = sys.modules.get("aiohttp")
    return () if client is None else (client.ClientConnectionError, client.ClientPayloadError)
