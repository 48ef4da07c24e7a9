"""The dashboard: pages for people. A process of its own draws them, so that drawing holds up no promise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Final

from mixtera.errors import PluginError
from mixtera.jobs.orphans import end_with_parent
from mixtera.service import drawn
from mixtera.service.refused import UNAVAILABLE, RefusedError

MEDIA: Final = "text/html; charset=utf-8"
FRESH_SECONDS: Final = 2.0
"""How long a page serves all who ask for it."""
_MOST_PAGES: Final = 64


class Pages:
    """Draws pages, one at a time."""

    def __init__(self) -> None:
        """Prepare; the process starts with the first page."""
        self._pool: ProcessPoolExecutor | None = None
        self._turn = asyncio.Lock()
        self._drawn: dict[tuple[str, ...], tuple[float, bytes]] = {}

    async def page(self, key: tuple[str, ...], draw: Callable[..., bytes], content: Callable[[], Any]) -> bytes:
        """A page.

        Args:
            key: What it shows: pages with the same key are drawn once for all who ask within a moment.
            draw: Draws it, in the other process.
            content: Gives the arguments of `draw`; any thread may call it.

        Raises:
            RefusedError: It cannot be drawn.
        """
        async with self._turn:
            at, page = self._drawn.get(key, (0.0, b""))
            if page and time.monotonic() - at < FRESH_SECONDS:
                return page
            arguments = await asyncio.to_thread(content)
            if self._pool is None:
                self._pool = ProcessPoolExecutor(1, get_context("spawn"), end_with_parent)
            try:
                page = await asyncio.get_running_loop().run_in_executor(self._pool, draw, *arguments)
            except BrokenProcessPool as error:
                self._pool = None
                raise RefusedError(UNAVAILABLE, "Busy", "the process that draws pages was ended; try again") from error
            except PluginError as error:
                raise RefusedError(501, "PluginError", str(error)) from error
            if len(self._drawn) >= _MOST_PAGES:
                self._drawn.clear()
            self._drawn[key] = time.monotonic(), page
            return page

    def close(self) -> None:
        """End the process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            processes = list((pool._processes or {}).values())  # nothing public ends a call under way
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()


OVERVIEW: Final = drawn.overview
JOB: Final = drawn.page
