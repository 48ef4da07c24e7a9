"""Where the members of many samples lie in memory: the first headers of all samples at once, then the second ones.

A sample with a header that is not of the common kind (a long name, a link, a size in binary) is left to `members`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtera.formats.webdataset.header import BLOCK

Positions = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

_NAME: Final = 100
_SIZE: Final = slice(124, 135)
_SIZE_END: Final = 135
_CHECKSUM: Final = slice(148, 154)
_CHECKSUM_END: Final = 154
_CHECKSUM_FIELD: Final = slice(148, 156)
_KIND: Final = 156
_PREFIX: Final = 345
_FILE: Final = (0, ord("0"))
_ZERO, _DOT, _SLASH, _UNDERSCORE, _BLANK = ord("0"), ord("."), ord("/"), ord("_"), ord(" ")
_COLUMNS: Final = np.arange(_NAME)
_POWERS: Final = 8 ** np.arange(10, -1, -1)

_LOWER: Final = np.arange(256, dtype=np.uint8)
_LOWER[ord("A") : ord("Z") + 1] += ord("a") - ord("A")


@dataclass(frozen=True, slots=True)
class Places:
    """Where members lie.

    Attributes:
        first: [extensions, samples] first byte of the data; −1 where a sample has no such member.
        size: [extensions, samples] bytes of the data.
        uncommon: [samples] whether a sample could not be followed; it has no places.
    """

    first: Positions
    size: Positions
    uncommon: Flags


def locate(page: Bytes, starts: Positions, stops: Positions, extensions: Sequence[bytes]) -> Places:
    """Find the first member of each extension in some samples.

    Args:
        page: Samples as they stand in their files, each at a multiple of 512 bytes.
        starts: First byte of each, that of its first header.
        stops: Byte after the last of each, at most those of its last block and of what belongs to no sample.
        extensions: In lower case.
    """
    blocks = page.reshape(-1, BLOCK)
    first = np.full((len(extensions), len(starts)), -1, np.int64)
    size = np.zeros_like(first)
    endings = [np.frombuffer(b"." + extension, np.uint8) for extension in extensions]
    uncommon = np.zeros(len(starts), np.bool_)
    at, last = starts // BLOCK, stops // BLOCK
    live = np.flatnonzero(at < last)
    while len(live):
        headers = blocks[at[live]]
        sizes, common = _sizes(headers)
        after = at[live] + 1 - (-sizes // BLOCK)
        common &= after <= last[live]
        if not common.all():
            uncommon[live[~common]] = True
            live, headers, sizes, after = live[common], headers[common], sizes[common], after[common]
        names = headers[:, :_NAME]
        ends = _lengths(names)
        for number, ending in enumerate(endings):
            hits = _with_extension(names, ends, ending)
            if not len(hits):
                continue
            hits = hits[first[number, live[hits]] < 0]
            first[number, live[hits]] = (at[live[hits]] + 1) * BLOCK
            size[number, live[hits]] = sizes[hits]
        at[live] = after
        live = live[after < last[live]]
    return Places(first, size, uncommon)


def _sizes(headers: Bytes) -> tuple[Positions, Flags]:
    """The sizes in some headers, and which of these are of the common kind: files, numbers in digits, right sums."""
    kind = headers[:, _KIND]
    sizes, common = _octal(headers[:, _SIZE], headers[:, _SIZE_END])
    told, digits = _octal(headers[:, _CHECKSUM], headers[:, _CHECKSUM_END])
    blanks = 8 * _BLANK - headers[:, _CHECKSUM_FIELD].sum(1, dtype=np.int64)
    common &= digits & (headers.sum(1, dtype=np.uint32) + blanks == told)
    common &= (kind == _FILE[0]) | (kind == _FILE[1])
    common &= (headers[:, 0] != _UNDERSCORE) & (headers[:, _PREFIX] != _UNDERSCORE)  # `__index__/…` is of no sample
    return sizes, common


def _octal(field: Bytes, end: Bytes) -> tuple[Positions, Flags]:
    """Octal numbers, and which of them are digits throughout, with a zero or a blank behind."""
    digits = field - np.uint8(_ZERO)
    return digits @ _POWERS[-field.shape[1] :], (digits < 8).all(1) & ((end == 0) | (end == _BLANK))


def _lengths(names: Bytes) -> Positions:
    zeros = names == 0
    return np.where(zeros.any(1), zeros.argmax(1), _NAME)


def _with_extension(names: Bytes, ends: Positions, ending: Bytes) -> Positions:
    """Names with an extension, given with its dot: the first behind the last slash, and something stands before it."""
    dots = ends - len(ending)
    hits = np.flatnonzero((dots > 0) & (_LOWER[names[np.arange(len(names)), ends - 1]] == ending[-1]))
    if not len(hits):
        return hits
    tails = names[hits[:, None], dots[hits][:, None] + _COLUMNS[: len(ending)]]
    hits = hits[(_LOWER[tails] == ending).all(1)]
    found, dots = names[hits], dots[hits][:, None]
    slashes = np.where((found == _SLASH) & (dots > _COLUMNS), _COLUMNS, -1).max(1, initial=-1)[:, None]
    earlier = ((found == _DOT) & (slashes < _COLUMNS) & (dots > _COLUMNS)).any(1)
    chosen: Positions = hits[~earlier & (slashes[:, 0] < dots[:, 0] - 1)]
    return chosen
