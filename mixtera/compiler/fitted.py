"""Whole documents fitted into rows: how many rows each code has, before its samples are chosen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mixtera.artifact.model import TokenParameters
from mixtera.compiler.files import Int64s
from mixtera.compiler.leaves import leaves
from mixtera.compiler.scratch import scratch
from mixtera.errors import SpecError
from mixtera.order.epochs import sums
from mixtera.order.fitting import UInt32s, Windows
from mixtera.spec.issues import Issues
from mixtera.spec.model import Spec

_BLOCK = 1 << 20


def fitted(
    tokens: UInt32s, codes: npt.NDArray[np.unsignedinteger], number: int, parameters: TokenParameters
) -> list[Windows]:
    """The windows of each code.

    Args:
        tokens: [rows] tokens of each document; 0 for what is left out.
        codes: [rows] code of each; those of a higher one than there are belong to none.
        number: How many codes there are.
        parameters: How samples become rows.
    """
    edges, by_code = _by_code(tokens, codes, number)
    width, shift = parameters.row_tokens, int(parameters.label_shift)
    return [Windows.of(by_code[first:last], width, shift) for first, last in pairwise(edges.tolist())]


def _by_code(tokens: UInt32s, codes: npt.NDArray[np.unsignedinteger], number: int) -> tuple[Int64s, UInt32s]:
    """The documents of each code in their order, one code after the other, and where those of each begin."""
    blocks = [slice(first, first + _BLOCK) for first in range(0, len(tokens), _BLOCK)]
    sizes = np.zeros(number, np.int64)
    for block in blocks:
        sizes += np.bincount(codes[block], minlength=number)[:number]
    edges = sums(sizes)
    result: UInt32s = scratch(int(edges[-1]), np.uint32)
    cursor = edges[:-1].copy()
    for block in blocks:
        order = np.argsort(codes[block], kind="stable")
        heads = np.searchsorted(codes[block][order], np.arange(number + 1, dtype=codes.dtype))
        for code in np.flatnonzero(np.diff(heads)).tolist():
            part = tokens[block][order[heads[code] : heads[code + 1]]]
            result[cursor[code] : cursor[code] + len(part)] = part
            cursor[code] += len(part)
    return edges, result


def check_no_curricula(spec: Spec) -> None:
    """Refuse curricula over rows of whole documents: which documents share a row is decided before they are sorted.

    Raises:
        SpecError: A component has one.
    """
    if spec.tokens is None or spec.tokens.packing != "best_fit":
        return
    issues = Issues()
    keys = {key.place: key for leaf in leaves(spec.mixture, spec.order) for key in leaf.sorted_by}
    for place, key in keys.items():
        issues.add(
            place,
            f"by: {key.text} sorts documents, and `packing: best_fit` puts them together by their lengths; use "
            "`packing: concat`, which keeps their order, or leave `by` out",
        )
    if issues.found:
        raise SpecError(issues.found)
