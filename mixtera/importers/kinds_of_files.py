"""Which format files have: from their suffix, or from the media type that metadata give."""

from __future__ import annotations

import re
from typing import Final

_COMPRESSED: Final = r"(\.(gz|gzip|zst|zstd|bz2|xz))?$"
_SUFFIXES: Final = (
    (re.compile(r"\.(jsonl|ndjson|json)" + _COMPRESSED), "jsonl"),
    (re.compile(r"\.(parquet|pq)$"), "parquet"),
    (re.compile(r"\.(csv|tsv)" + _COMPRESSED), "csv"),
    (re.compile(r"\.(txt|text)" + _COMPRESSED), "text"),
    (re.compile(r"\.tar(\.gz|\.zst)?$|\.tgz$"), "webdataset"),
    (re.compile(r"\.(arrow|arrows|feather|ipc)$"), "arrow"),
    (re.compile(r"\.(npy|ds|u16|u32)$"), "tokens"),
    (re.compile(r"\.(bin|idx)$"), "megatron"),
)
_MEDIA_TYPES: Final = {
    "application/jsonlines": "jsonl",
    "application/x-jsonlines": "jsonl",
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
    "application/json": "jsonl",
    "application/x-parquet": "parquet",
    "application/vnd.apache.parquet": "parquet",
    "application/parquet": "parquet",
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
    "text/tsv": "csv",
    "text/plain": "text",
    "application/x-tar": "webdataset",
    "application/tar": "webdataset",
    "application/vnd.apache.arrow.file": "arrow",
    "application/vnd.apache.arrow.stream": "arrow",
}
ARCHIVES: Final = ("application/zip", "application/x-zip-compressed", "application/x-tar", "application/gzip")


def format_of_path(path: str) -> str | None:
    """The format that the suffix of a path or glob tells, installed or not."""
    lowered = path.lower()
    return next((name for pattern, name in _SUFFIXES if pattern.search(lowered)), None)


def format_of_media_type(media_type: str) -> str | None:
    """The format of a media type, installed or not."""
    return _MEDIA_TYPES.get(media_type.strip().lower())


def is_json(path: str) -> bool:
    """Whether files end with `.json`, which may be JSON Lines and may be one document."""
    return re.search(r"\.json" + _COMPRESSED, path.lower()) is not None
