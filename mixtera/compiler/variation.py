"""What makes the order of a plan differ from the plain one: exclusions, curricula, components that are not shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from mixtera.arrow import to_numpy
from mixtera.artifact.model import OrderParameters, PlanData
from mixtera.artifact.pointers import entries_of
from mixtera.compiler.components import Member
from mixtera.compiler.dense import Dense, dense_of
from mixtera.compiler.files import FileIndex
from mixtera.compiler.sorting import SortValues, sequences
from mixtera.order.leftout import LeftOut
from mixtera.order.permute import Permutation, Variation

Bools: TypeAlias = npt.NDArray[np.bool_]

_BLOCK = 1 << 20


def varied(
    data: PlanData, chosen: Sequence[Member], index: FileIndex, excluded: Bools, sorting: SortValues
) -> PlanData:
    """A plan with the variation that its spec asks for.

    Args:
        data: The plan in plain order.
        chosen: Its components.
        index: Its files.
        excluded: [rows] whether each row is excluded; empty where no list is given.
        sorting: What curricula sort by.
    """
    shuffle, in_file_order = _shuffled(chosen, data.order.shuffle)
    order = replace(data.order, shuffle=shuffle)
    dense = dense_of(data, index)
    plain = Variation(in_file_order=in_file_order, excluded=_left_out(data, dense, excluded))
    sorted_by = {number: m.leaf.sorted_by for number, m in enumerate(chosen) if m.leaf.sorted_by}
    sorted_ = sequences(sorted_by, permutation_of(data, order, plain), dense, sorting) if sorted_by else {}
    return replace(data, order=order, variation=replace(plain, sequences=sorted_))


def _shuffled(
    chosen: Sequence[Member], otherwise: Literal["global", "none"]
) -> tuple[Literal["global", "none"], frozenset[int]]:
    """Whether anything is shuffled, and the components that are not although others are."""
    shuffled = [member.leaf.shuffled for member in chosen]
    if all(shuffled) or not any(shuffled):
        return ("global" if shuffled[0] else "none") if shuffled else otherwise, frozenset()
    return "global", frozenset(number for number, one in enumerate(shuffled) if not one)


def permutation_of(data: PlanData, order: OrderParameters, variation: Variation) -> Permutation:
    """The permutation of a plan's samples under another variation."""
    return Permutation(entries_of(data), order.seed, order.shuffle == "global", order.window_segments, variation)


def _left_out(data: PlanData, dense: Dense, excluded: Bools) -> LeftOut | None:
    if not len(excluded) or not len(data.rows):
        return None
    total = len(data.rows)
    blocks = [dense.rows(first, min(first + _BLOCK, total)) for first in range(0, total, _BLOCK)]
    left_out = np.concatenate([excluded[rows] for rows in blocks])
    return LeftOut.of(left_out, to_numpy(data.entries.column("count")).astype(np.int64)) if left_out.any() else None
