"""Plain text, a document a file, plain or compressed (gzip, zstd, bz2, xz, lz4).

- A file is one sample, row 0: all of it as it stands, but for a UTF-8 byte order mark. Its content is named `text`.
- A file without a single byte is an empty text.
- There are no properties: nothing inside a file is one. Sources tell files apart: `dataset` in predicates.
- Bad samples: invalid UTF-8, a NUL byte (so the file is binary), more than 1 GiB.
"""

from __future__ import annotations

from mixtera.formats.text.format import Text

__all__ = ["Text"]
