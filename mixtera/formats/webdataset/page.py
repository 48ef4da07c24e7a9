"""Pages: samples of several files in one piece of memory, so that their headers are looked at together."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mixtera.formats.webdataset.locate import Bytes, Positions

PAGE_BYTES: Final = 8 << 20
"""Bytes of a page, more than a stream fetches at once of samples that are not large."""


@dataclass(frozen=True, slots=True)
class Lot:
    """Samples of one file in a page: where each begins and ends, their rows, and the file."""

    starts: Positions
    stops: Positions
    rows: Positions
    url: str


@dataclass(slots=True)
class Page:
    """Memory that is filled with samples."""

    data: Bytes
    filled: int = 0
    lots: list[Lot] = field(default_factory=list)


class _Kept(threading.local):
    """The page that a thread used last: fresh memory has to be mapped page by page."""

    page: Bytes | None = None


_kept: Final = _Kept()


class Pages:
    """The pages of one read; the first of them is kept for the next read of the same thread."""

    def __init__(self) -> None:
        first, _kept.page = _kept.page, None
        self.all = [Page(np.empty(PAGE_BYTES, np.uint8) if first is None else first)]

    def room(self, size: int) -> tuple[Page, Bytes]:
        """A page with room for some bytes, and the room."""
        page = self.all[-1]
        if page.filled + size > len(page.data):
            page = Page(np.empty(max(size, PAGE_BYTES), np.uint8))
            self.all.append(page)
        return page, page.data[page.filled : page.filled + size]

    def release(self) -> None:
        """Give the first page back, when nothing looks into it any more."""
        _kept.page = self.all[0].data
        self.all = []
