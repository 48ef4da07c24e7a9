"""Many small reads of a file with one call of the system: Linux' `io_submit`, without the library around it.

A `preadv` from Python takes 1.2 µs beside the copying, more than a kilobyte does; one of many in an `io_submit` takes a
third of that. What lies in the page cache is copied before the call returns, and what does not is waited for. Where the
system has no such calls, or refuses them (a strict sandbox, too many queues on the machine), callers read one by one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

DEPTH: Final = 256
"""Reads of one call: all queues of a machine together have 65,536, unless it is told otherwise."""


class _Calls(NamedTuple):
    """Numbers of calls of the system."""

    setup: int
    destroy: int
    getevents: int
    submit: int


CALLS: Final = {"x86_64": _Calls(206, 207, 208, 209), "aarch64": _Calls(0, 1, 4, 2)}
"""Of each machine that is known; for others, reads are done one by one."""

_CONTROL: Final = np.dtype(
    [
        ("data", "<u8"),
        ("key", "<u4"),
        ("read_flags", "<u4"),
        ("operation", "<u2"),  # 0: IOCB_CMD_PREAD
        ("priority", "<i2"),
        ("descriptor", "<u4"),
        ("buffer", "<u8"),
        ("bytes", "<u8"),
        ("offset", "<i8"),
        ("reserved", "<u8"),
        ("flags", "<u4"),
        ("event_descriptor", "<u4"),
    ]
)
"""`struct iocb` of linux/aio_abi.h."""

_EVENT: Final = np.dtype([("data", "<u8"), ("control", "<u8"), ("result", "<i8"), ("more", "<i8")])
"""`struct io_event`."""


class _Queue:
    """A queue of the system, for one thread at a time."""

    def __init__(self, context: ctypes.c_ulong, calls: _Calls) -> None:
        self._context, self._calls = context, calls
        self._controls, self._events = np.zeros(DEPTH, _CONTROL), np.zeros(DEPTH, _EVENT)
        self._controls["data"] = np.arange(DEPTH)
        self._pointers = self._controls.ctypes.data + _CONTROL.itemsize * np.arange(DEPTH, dtype=np.uint64)

    def read(
        self, descriptor: int, addresses: Positions, starts: Positions, lengths: Positions, done: Positions
    ) -> None:
        """Do up to `DEPTH` reads, and note how many bytes each has given; below 0: it failed; 0 for those not done."""
        controls = self._controls[: len(starts)]
        controls["descriptor"] = descriptor
        controls["buffer"] = addresses
        controls["bytes"] = lengths
        controls["offset"] = starts
        begun = 0
        while begun < len(starts):
            pointers = ctypes.c_void_p(self._pointers.ctypes.data + 8 * begun)
            taken = _system()(self._calls.submit, self._context, ctypes.c_long(len(starts) - begun), pointers)
            if taken <= 0:
                return
            begun += taken
            self._wait(taken, done)

    def destroy(self) -> None:
        """Give it back; what it was still asked for is waited for, since it would go to memory that is gone."""
        _system()(self._calls.destroy, self._context)

    def _wait(self, count: int, done: Positions) -> None:
        events = ctypes.c_void_p(self._events.ctypes.data)
        while count:
            number = ctypes.c_long(count)
            ended = _system()(self._calls.getevents, self._context, number, number, events, None)
            if ended >= 0:
                done[self._events["data"][:ended].astype(np.int64)] = self._events["result"][:ended]
                count -= ended
            elif ctypes.get_errno() != errno.EINTR:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


_free: Final[list[_Queue]] = []
"""Queues that no thread uses. To give one back to the system takes milliseconds, so they stay for those to come."""
os.register_at_fork(after_in_child=_free.clear)  # a child has none of its parent's queues


def read_many(
    descriptor: int, target: Bytes, places: Positions, starts: Positions, lengths: Positions
) -> Positions | None:
    """Read ranges of a file to their places in memory.

    Args:
        descriptor: The file.
        target: The memory.
        places: [n] where each range begins in it.
        starts: [n] first byte of each range.
        lengths: [n] its bytes.

    Returns:
        [n] bytes that were read of each; fewer than asked, or below 0, where it has to be read otherwise. None where
        the system does not do it.

    Raises:
        ValueError: A place is outside of the memory.
    """
    if not len(starts):
        return np.zeros(0, np.int64)
    if int(places.min()) < 0 or int(lengths.min()) < 0 or int((places + lengths).max()) > len(target):
        raise ValueError("a range to be read has no place in the memory given")
    if not (target.flags.c_contiguous and target.flags.writeable):
        raise ValueError("ranges are read into writable memory without gaps")
    queue = _taken()
    if queue is None:
        return None
    done, addresses = np.zeros(len(starts), np.int64), target.ctypes.data + places
    try:
        for part in (slice(first, first + DEPTH) for first in range(0, len(starts), DEPTH)):
            queue.read(descriptor, addresses[part], starts[part], lengths[part], done[part])
    except OSError:
        queue.destroy()
        return None
    except BaseException:  # an interrupt
        queue.destroy()
        raise
    _free.append(queue)
    return done


def _taken() -> _Queue | None:
    """A queue that is free, or a new one; None where there is none to be had."""
    try:
        return _free.pop()
    except IndexError:
        return _new()


def _new() -> _Queue | None:
    calls = CALLS.get(platform.machine())
    if calls is None or sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    context = ctypes.c_ulong(0)
    if _system()(calls.setup, ctypes.c_long(DEPTH), ctypes.byref(context)):
        return None
    return _Queue(context, calls)


@cache
def _system() -> Callable[..., int]:
    """The C library's `syscall`, which lets other threads run meanwhile."""
    found = ctypes.CDLL(None, use_errno=True).syscall
    found.restype = ctypes.c_long
    return found
