"""All other URLs, through fsspec: `http://…`, `gs://…`, `abfs://…`, `hf://…`, `sftp://…`, `memory://…`, chains.

fsspec knows some forty kinds of places, each by a package of its own, which must be installed; the error names it.
Everything is asked in ranges. A process that was forked makes connections of its own.
"""

from __future__ import annotations

from mixtera_backends.storage.fsspec.storage import FsspecStorage

__all__ = ["FsspecStorage"]
