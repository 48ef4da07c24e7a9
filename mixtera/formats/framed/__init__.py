"""Random access to compressed files of many frames: zstd frames, gzip members, bz2 and xz streams.

Whatever writes a file in pieces that are compressed by themselves makes it one that can be entered at each of them:
`pzstd`, `bgzip`, `pbzip2`, seekable zstd, `cat a.zst b.zst`. Where frames begin is noted while the file is indexed.
"""

from __future__ import annotations

from mixtera.formats.framed.file import BrokenFrameError, FramedFile
from mixtera.formats.framed.stream import FrameStream, frame_stream

__all__ = ["BrokenFrameError", "FrameStream", "FramedFile", "frame_stream"]
