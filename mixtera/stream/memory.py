"""The memory that Arrow keeps."""

from __future__ import annotations

import os
from functools import cache

import pyarrow as pa


@cache
def use_compact_pool() -> None:
    """Let Arrow allocate with jemalloc in this process, where it is built in and the user has not chosen otherwise.

    Arrow's default, mimalloc, keeps 40 MB more for a stream, whose arrays are freed by another thread than the one
    that made them; the speed is the same. Arrays that exist keep the pool that they came from. The choice of
    `ARROW_DEFAULT_MEMORY_POOL` stands.
    """
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ and "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())


def return_at_once() -> None:
    """Have Arrow give memory back to the system as soon as it is free, where it is jemalloc that allocates.

    It keeps it for a second otherwise. Batches of large samples are freed as pieces of tens of megabytes, of which the
    next ones, cut otherwise, fill the half: 28 MB less for images, and a tenth more processor time.
    """
    if pa.default_memory_pool().backend_name == "jemalloc":
        pa.jemalloc_set_decay_ms(0)
