"""The memory that Arrow keeps."""

from __future__ import annotations

import os
from functools import cache

import numpy as np
import numpy.typing as npt
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


def kept_memory(numbers: int) -> npt.NDArray[np.int32]:
    """Memory for so many numbers, out of Arrow's pool, which keeps what is given back for a second.

    Numpy's goes back to the system with each array of this size, and comes again page by page: for rows of tokens that
    took a quarter of the processor time.
    """
    if not numbers:
        return np.empty(0, np.int32)
    return np.frombuffer(pa.allocate_buffer(numbers * 4), np.int32)
