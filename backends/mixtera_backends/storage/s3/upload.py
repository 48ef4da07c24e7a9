"""Writing an object: in one request, or in parts where it is large. Nobody sees it before it is whole. And deleting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from mixtera.pauses import pauses
from mixtera_backends.storage.s3.address import Address
from mixtera_backends.storage.s3.clients import Refused
from mixtera_backends.storage.s3.failures import Failure

if TYPE_CHECKING:
    from mixtera_backends.storage.s3.clients import Clients

PART_BYTES: Final = 32 << 20
_MOST_PARTS: Final = 10_000
_MOST_KEYS: Final = 1_000
"""So many objects are deleted with one request."""
_DENIED: Final = 403
_CONFLICT: Final = 409
"""The answer where the object was being written or deleted at that moment; the request is to be made again."""
_CONFLICTS: Final = 10
_PRECONDITION_FAILED: Final = 412
CONTENT_TYPE: Final = "binary/octet-stream"


def upload(clients: Clients, address: Address, content: bytes | Path) -> None:
    """Write an object.

    Raises:
        Refused: The server did not take it.
        OSError: The local file cannot be read.
    """
    where = {"Bucket": address.bucket, "Key": address.key}
    if isinstance(content, bytes):
        clients.ask("put_object", Body=content, ContentType=CONTENT_TYPE, **where)
        return
    size = content.stat().st_size
    with content.open("rb") as file:
        if size <= PART_BYTES:
            clients.ask("put_object", Body=file.read(), ContentType=CONTENT_TYPE, **where)
        else:
            _in_parts(clients, where, file, max(PART_BYTES, -(-size // _MOST_PARTS)))


def create(clients: Clients, address: Address, content: bytes) -> bool:
    """Write an object where there is none; False where there is one.

    Raises:
        Refused: The server did not take it.
    """
    from tenacity import Retrying, retry_if_exception, stop_after_attempt

    attempts = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, Refused) and error.failure.status == _CONFLICT),
        wait=pauses(0.1, 2.0),
        stop=stop_after_attempt(_CONFLICTS),
        reraise=True,
    )
    where = {"Bucket": address.bucket, "Key": address.key}
    try:
        attempts(clients.ask, "put_object", Body=content, ContentType=CONTENT_TYPE, IfNoneMatch="*", **where)
    except Refused as error:
        if error.failure.status == _PRECONDITION_FAILED:
            return False
        raise
    return True


def delete(clients: Clients, bucket: str, keys: Sequence[str]) -> None:
    """Delete objects of one bucket.

    Raises:
        Refused: The server did not do it for one of them.
    """
    for first in range(0, len(keys), _MOST_KEYS):
        wanted = [{"Key": key} for key in keys[first : first + _MOST_KEYS]]
        answer = clients.ask("delete_objects", Bucket=bucket, Delete={"Objects": wanted, "Quiet": True})
        for failed in answer.get("Errors", ()):
            raise Refused(Failure(_DENIED, str(failed.get("Code", "")), str(failed.get("Message", ""))))


def _in_parts(clients: Clients, where: dict[str, str], file: BinaryIO, part_bytes: int) -> None:
    begun = clients.ask("create_multipart_upload", ContentType=CONTENT_TYPE, **where)
    where = {**where, "UploadId": begun["UploadId"]}
    done = False
    try:
        parts = []
        for number, piece in enumerate(_pieces(file, part_bytes), start=1):
            etag = clients.ask("upload_part", PartNumber=number, Body=piece, **where)["ETag"]
            parts.append({"PartNumber": number, "ETag": etag})
        clients.ask("complete_multipart_upload", MultipartUpload={"Parts": parts}, **where)
        done = True
    finally:
        if not done:  # what was sent costs money until it is given up
            with suppress(Refused):  # the first failure is the one to tell
                clients.ask("abort_multipart_upload", **where)


def _pieces(file: BinaryIO, count: int) -> Iterator[bytes]:
    while piece := file.read(count):
        yield piece
