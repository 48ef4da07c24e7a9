"""Data that lies elsewhere on this machine: URL prefixes of a plan's files are exchanged when it is opened."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from mixtera.errors import PlanError

_SHOWN = 5


def remapped(files: pa.Table, remap: Mapping[str, str]) -> pa.Table:
    """The table of files with other URLs. Prefixes end where a folder ends; the longest that fits a URL counts.

    Args:
        files: Table of FILES.
        remap: URL prefix → URL prefix; `file:///x` and `/x` are the same.

    Raises:
        PlanError: A prefix fits no file.
    """
    import pyarrow.compute as pc  # 30 ms, which a plan that lies where it was compiled has no use for

    old = files.column("url").combine_chunks()
    new, done = old, np.zeros(len(old), bool)
    for prefix in sorted(remap, key=len, reverse=True):
        fits = {spelling: _starts(old, spelling) for spelling in _spellings(prefix)}
        if not any(mask.any() for mask in fits.values()):
            raise PlanError(f"remap: no file of the plan lies below {prefix!r}; its files lie below {_folders(old)}")
        for spelling, mask in fits.items():
            rest = pc.utf8_slice_codeunits(old, len(spelling))
            moved = pc.binary_join_element_wise(remap[prefix].rstrip("/"), rest, "")
            new = pc.if_else(pa.array(mask & ~done), moved, new)
            done |= mask
    modified = pc.if_else(pa.array(done), 0, files.column("modified_ns").combine_chunks())
    etags = pc.if_else(pa.array(done), "", files.column("etag").combine_chunks())
    files = _replaced(
        files, "modified_ns", modified
    )  # a copy has its own, and its own etag; its size is still compared
    files = _replaced(files, "etag", etags)
    return _replaced(files, "url", new)


def _replaced(files: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return files.set_column(files.schema.get_field_index(name), files.schema.field(name), values)


def _spellings(prefix: str) -> tuple[str, ...]:
    plain = prefix.rstrip("/")
    if plain.startswith("file://"):
        return plain, plain.removeprefix("file://")
    return (plain, f"file://{plain}") if plain.startswith("/") else (plain,)


def _starts(urls: pa.Array, folder: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    import pyarrow.compute as pc

    below = pc.or_(pc.equal(urls, folder), pc.starts_with(urls, folder + "/"))
    return below.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _folders(urls: pa.Array) -> str:
    folders = sorted({url.rpartition("/")[0] + "/" for url in urls.to_pylist()})
    return ", ".join(folders[:_SHOWN]) + (f" and {len(folders) - _SHOWN} more" if len(folders) > _SHOWN else "")
