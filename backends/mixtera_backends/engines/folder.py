"""Some files as one folder, for engines that read folders: links under plain names, in the order that was given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

import pyarrow as pa
import pyarrow.parquet as pq


def folder_of(files: Sequence[str], parent: Path, schema: pa.Schema) -> Path:
    """A folder with a link to each of some local files, whatever their names hold; without any, with an empty file.

    Args:
        files: The files.
        parent: Where the folder is made.
        schema: That of the empty file.

    Raises:
        FileNotFoundError: One of the files is not there.
    """
    folder = Path(mkdtemp(dir=parent))
    for number, file in enumerate(files):
        (folder / f"{number:08}.parquet").symlink_to(Path(file).resolve(strict=True))
    if not files:
        pq.write_table(schema.empty_table(), folder / "none.parquet")
    return folder
