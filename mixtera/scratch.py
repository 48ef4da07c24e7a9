"""Long arrays on disk without a name: they vanish with the process, however it ends, and are never all in memory."""

from __future__ import annotations

import os
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import numpy.typing as npt


def scratch(length: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of zeros in an unnamed temporary file (see `tempfile.gettempdir`).

    Raises:
        OSError: There is no room for it. The room is taken at once: a full disk found later, while the array is
            written, would kill the process.
    """
    if length == 0:
        return np.zeros(0, dtype)
    with TemporaryFile(prefix="mixtera-") as file:
        os.posix_fallocate(file.fileno(), 0, length * np.dtype(dtype).itemsize)
        return np.asarray(np.memmap(file, dtype, mode="r+", shape=(length,)))
