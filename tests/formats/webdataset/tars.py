"""Tars for tests, written by the standard library, and tiny real images."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

Members = Iterable[tuple[str, bytes]]


def tar_bytes(members: Members, form: int = tarfile.USTAR_FORMAT) -> bytes:
    """A tar of some files."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=form) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def write_tar(path: Path, members: Members, form: int = tarfile.USTAR_FORMAT) -> Path:
    """Write a tar of some files; returns its path."""
    path.write_bytes(tar_bytes(members, form))
    return path


def members_of(records: Sequence[Mapping[str, object]]) -> list[tuple[str, bytes]]:
    """The records of the laws: a field is a member, text as it stands, everything else as JSON; None is no member."""
    return [
        (f"shard/{number:06d}.{name}", value.encode() if isinstance(value, str) else json.dumps(value).encode())
        for number, record in enumerate(records)
        for name, value in record.items()
        if value is not None
    ]


def png(width: int, height: int, shade: int = 0) -> bytes:
    """A grey picture whose pixels differ."""
    rows = b"".join(b"\0" + bytes((x * 7 + y * 13 + shade) % 256 for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height of a picture whose chunks are all sound."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, kinds = 8, []
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size]) == (zlib.crc32(kind + body),)
        kinds.append(kind)
        at += 12 + size
    assert kinds[-1] == b"IEND"
    width, height = struct.unpack(">II", data[16:24])
    return width, height
