"""Writing an object: in one request, or in parts where it is large. Nobody sees it before it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from mixtera_backends.storage.s3.address import Address
from mixtera_backends.storage.s3.clients import Refused

if TYPE_CHECKING:
    from mixtera_backends.storage.s3.clients import Clients

PART_BYTES: Final = 32 << 20
_MOST_PARTS: Final = 10_000
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
