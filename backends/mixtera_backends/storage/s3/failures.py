"""What the clients raise → a `StorageError` that says which object, why, and what to do. No secret is repeated."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from typing import Final

from mixtera.errors import MissingError, StorageError

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_REASON: Final = re.compile(r" - (?:HTTP error: )?(.{1,120})")
_USER_INFO: Final = re.compile(r"[^\s/:@]+:[^\s/@]*@")
_PROVIDER: Final = re.compile(r"credential provider: (?:\w+: )?([^\n]{1,200})")
_NO_CREDENTIALS: Final = ("NoCredentialsError", "PartialCredentialsError")
_NOT_RENEWED: Final = "CredentialRetrievalError"
_KEYS_REFUSED: Final = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken")
_ON_THE_WAY: Final = (
    "HTTPClientError",
    "ConnectionError",
    "IncompleteReadError",
    "ChecksumError",
    "FlexibleChecksumError",
)
"""Botocore's errors for what happens to a request and its answer; all others come before there is a request."""
_RIGHTS: Final = {
    "read": "s3:GetObject, and s3:ListBucket for patterns",
    "written": "s3:PutObject",
    "deleted": "s3:DeleteObject",
}
CREDENTIALS_ADVICE: Final = (
    "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as other S3 tools want them"
)
CONFIGURATION_ADVICE: Final = (
    "check AWS_ENDPOINT_URL (such as http://minio.lab:9000), AWS_REGION, AWS_PROFILE and ~/.aws"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request failed.

    Attributes:
        status: The HTTP status; 0 where there was no answer.
        code: The server's word for it; empty where it said none.
        reason: The client's words, where there was no answer.
        is_final: Whether there never was a request: the configuration allows none.
    """

    status: int
    code: str
    reason: str
    is_final: bool = False

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed a little later."""
        if self.is_final:
            return False
        return self.status in (0, 408, 429) or self.status >= 500 or self.code in ("SlowDown", "RequestTimeout")


def failure_of(error: Exception) -> Failure:
    """What an exception of botocore or obstore says."""
    if isinstance(error, RecursionError):  # botocore follows redirects for ever
        return Failure(307, "", "")
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        code = str(response["Error"].get("Code", ""))
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return Failure(status or (int(code) if code.isdecimal() else 0), "" if code.isdecimal() else code, "")
    text = str(error)
    if type(error).__module__.startswith("obstore") or isinstance(error, FileNotFoundError):
        if provider := _PROVIDER.search(text):
            return Failure(0, _NOT_RENEWED, provider[1].strip(), is_final=True)
        answered, found = _STATUS.search(text), _CODE.search(text)
        named = {"PreconditionError": 412, "FileNotFoundError": 404, "PermissionDeniedError": 403}
        number = int(answered[1]) if answered else named.get(type(error).__name__, 0)
        if not number and "redirect" in text:
            number = 307
        reason = _REASON.search(text)
        return Failure(number, found[1] if found else "", reason[1].strip() if reason else text.split("\n")[0][:120])
    if isinstance(error, RuntimeError):  # so botocore says that it was given keys that have ended
        return Failure(0, _NOT_RENEWED, text, is_final=True)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    is_final = "BotoCoreError" in kinds and kinds.isdisjoint(_ON_THE_WAY)
    return Failure(0, type(error).__name__, text.split("\n")[0][:200], is_final)


def misconfigured(reason: object, code: str = "") -> str:
    """What to say when a client cannot be made, or makes no request."""
    reason = _USER_INFO.sub("", str(reason))
    is_of_rights = any(word in f"{code} {reason}".lower() for word in ("credential", "profile", "token"))
    return f"S3 is not configured well: {reason}; {CREDENTIALS_ADVICE if is_of_rights else CONFIGURATION_ADVICE}"


def missing(url: str, advice: str) -> StorageError:
    """The error for an object that is not there; its cause is a `FileNotFoundError`."""
    error = MissingError(f"no object {url}: {advice}")
    error.__cause__ = FileNotFoundError(errno.ENOENT, "no such object", url)
    return error


def changed(url: str, indexed: bool) -> StorageError:
    """The error for an object that has been replaced."""
    since = "since it was indexed" if indexed else "while it was read"
    return StorageError(
        f"{url} changed {since}: its etag is another one; restore the object, or run `mixtera index` and compile again"
    )


def refused(url: str, failure: Failure, endpoint: str, seconds: float = 0, done: str = "read") -> StorageError:
    """The error for a request that failed for good."""
    tried = f" for {seconds:.0f} s" if seconds >= 1 else ""
    match failure:
        case Failure(code=code) if code in _NO_CREDENTIALS:
            why = f"there are no AWS credentials: {CREDENTIALS_ADVICE}"
        case Failure(code=code) if code == _NOT_RENEWED:
            why = f"the AWS credentials cannot be renewed: {failure.reason}; log in again, or check ~/.aws"
        case Failure(code=code) if code in _KEYS_REFUSED:
            why = f"{endpoint} refuses the credentials ({code}): {CREDENTIALS_ADVICE}"
        case Failure(code="NoSuchBucket"):
            why = f"{endpoint} has no such bucket: check its name, and AWS_ENDPOINT_URL"
        case Failure(status=401 | 403):
            needed = _RIGHTS[done]
            why = (
                f"access denied ({failure.code or failure.status}): the credentials need {needed}; {CREDENTIALS_ADVICE}"
            )
        case Failure(status=404):
            why = "it is gone; restore it, or run `mixtera index` and compile again"
        case Failure(status=301 | 302 | 307 | 308):
            why = f"{endpoint} redirects the request elsewhere: check AWS_ENDPOINT_URL, and AWS_REGION for the bucket"
        case Failure(is_final=True):
            why = misconfigured(failure.reason, failure.code)
        case Failure(status=0):
            why = (
                f"no answer from {endpoint}{tried} ({failure.reason}): check AWS_ENDPOINT_URL, the network, the server"
            )
        case _ if failure.is_temporary:
            why = (
                f"{endpoint} was asked again{tried} and still answers {failure.status} {failure.code}: try again later"
            )
        case _:
            why = f"{endpoint} answers {failure.status} {failure.code}"
    return StorageError(f"{url} cannot be {done}: {why}")
