"""Arrow IPC: files (Feather version 2), streams, and the shards of Hugging Face `save_to_disk` directories.

- Whether a file is of the file or of the stream format is told by its first bytes. The shards of a `save_to_disk`
  directory are streams: `path: dataset/data-*.arrow`.
- A row is a sample. Properties and content are columns, fields of structs by dotted paths; properties also of the
  elements of lists (`names[*].first`). Dictionary-encoded, large and view strings are read as strings. A property that
  a file has not is NULL for all its rows.
- Rows of uncompressed files on storage that gives file descriptors are read alone, through a memory map; else record
  batches are read as a whole. Buffers may be compressed (LZ4, ZSTD).
- All content is checked once, when it is indexed: a damaged file could stop the process that maps it.
- Bad samples: NULL content, content that is not valid UTF-8, a value that is not of the property's type.
- Refused as a whole: a file cut short (a stream without its end mark too), bytes behind the end of a stream, Feather
  version 1, files written by Arrow before 0.15.
"""

from __future__ import annotations

from mixtera.formats.arrow.format import Arrow

__all__ = ["Arrow"]
