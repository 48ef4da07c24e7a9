"""Blocks: positions that follow each other and are all of components of one kind.

Where components deliver different things, sequences of tokens and images, a batch must not mix them. So positions are
dealt out in blocks of some size: each block goes to one *kind*, and inside a kind its components take turns position by
position. Both are the seats of `mixtera.order.seats`: the blocks of a kind among the first blocks, and the seats of a
component among the first positions of its kind. So nothing is counted from the start, here neither.

How exact it is: a kind is within 2 blocks of its share at any prefix, and inside its kind a component is within 2
positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mixtera.cached import cached_property
from mixtera.order import seats
from mixtera.order.seats import Float64s, Int64s, Splits
from mixtera.order.shares import Group

Bools = npt.NDArray[np.bool_]
Rounding = Callable[[Float64s, Bools, int], Int64s]


@dataclass(frozen=True, slots=True)
class Blocks:
    """How positions lie in blocks.

    Attributes:
        size: Positions of a block.
        kinds: [K] the kind of each component, numbered from 0 without gaps.
    """

    size: int
    kinds: tuple[int, ...]

    def start(self, position: int) -> int:
        """The first position of the block that holds a position; both are counted from the first block."""
        return position - position % self.size

    def after(self, position: int) -> int:
        """The first position, from this one on, that begins a block."""
        return self.start(position + self.size - 1)

    def of_kind(self, component: int) -> Bools:
        """[K] which components are of the same kind as one of them."""
        own: Bools = np.array(self.kinds) == self.kinds[component]
        return own


@dataclass(frozen=True, eq=False)
class BlockedSeats:
    """The seats of some weights, where positions lie in blocks; counted from a position that begins one.

    Attributes:
        blocks: The blocks.
        weights: [K] float64, any scale; not negative, at least one positive.
    """

    blocks: Blocks
    weights: Float64s

    @cached_property
    def _active(self) -> list[int]:
        """Kinds with a weight."""
        kinds = np.array(self.blocks.kinds)
        return sorted({int(kind) for kind in kinds[self.weights > 0]})

    @cached_property
    def _inside(self) -> list[Splits]:
        """The splits of each kind with a weight."""
        kinds = np.array(self.blocks.kinds)
        return [Splits.of(np.where(kinds == kind, self.weights, 0.0)) for kind in self._active]

    @cached_property
    def _over(self) -> Splits:
        """The splits of all blocks, by the weights of those kinds."""
        kinds = np.array(self.blocks.kinds)
        return Splits.of(np.array([math.fsum(self.weights[kinds == kind].tolist()) for kind in self._active]))

    def seats(self, totals: Int64s) -> Int64s:
        """[G, K] seats of each component among the first t positions, for each of `totals` [G]."""
        block, rest = totals // self.blocks.size, totals % self.blocks.size
        held = self._over.seats(block) * self.blocks.size
        open_ = self._over.components(block, block + 1)
        held[np.arange(len(totals)), open_] += rest
        found = np.zeros((len(totals), len(self.weights)), np.int64)
        for number, inside in enumerate(self._inside):
            found += inside.seats(np.ascontiguousarray(held[:, number]))
        return found

    def components(self, starts: Int64s, stops: Int64s) -> Int64s:
        """Component of each position of ascending, disjoint ranges [start, stop), concatenated."""
        positions = seats.ranges(starts, stops)
        if not len(positions):
            return positions
        first, last = int(positions[0]) // self.blocks.size, int(positions[-1]) // self.blocks.size
        kind = self._over.components(np.array([first]), np.array([last + 1]))
        held = self._over.seats(np.array([first]))[0]
        at = positions // self.blocks.size - first
        ordinal = held[kind] + _before(kind, len(self._active))
        return seats.components(self._inside, kind[at], ordinal[at] * self.blocks.size + positions % self.blocks.size)

    def position(self, component: int, seat: int) -> int:
        """The position of a component's seat with this number, from 0."""
        kind = self._active.index(self.blocks.kinds[component])
        ordinal, rest = divmod(self._inside[kind].position(component, seat), self.blocks.size)
        return self._over.position(kind, ordinal) * self.blocks.size + rest


def in_blocks(owed: Float64s, weights: Sequence[float], total: int, blocks: Blocks, rounded: Rounding) -> Int64s:
    """Whole numbers as near to some others as can be, where those of a kind fill whole blocks.

    Args:
        owed: [K] what each should get; may be negative.
        weights: [K] who may get anything, and who more where a kind gets more than it is owed.
        total: The sum of the result, whole blocks.
        blocks: The blocks.
        rounded: What rounds.
    """
    kinds, asked = np.array(blocks.kinds), np.array(weights, np.float64)
    count = int(kinds.max()) + 1
    by_kind, weight = np.bincount(kinds, owed, count), np.bincount(kinds, asked, count)
    given = rounded(by_kind / blocks.size, weight > 0, total // blocks.size) * blocks.size
    more = (given - by_kind)[kinds] * asked / np.where(weight > 0, weight, 1.0)[kinds]
    result = np.zeros(len(owed), np.int64)
    for kind in np.flatnonzero(given).tolist():
        own = kinds == kind
        result[own] = rounded((owed + more)[own], asked[own] > 0, int(given[kind]))
    return result


def shared(weights: Float64s, room: Int64s, total: int) -> Int64s:
    """How a number of positions is shared by weights among components that have room for no more than so many.

    Args:
        weights: [K] not negative; where none that has room is positive, all that have room are alike.
        room: [K] at most; their sum is at least `total`.
        total: The sum of the result.
    """
    given = np.zeros(len(room), np.int64)
    while (missing := total - int(given.sum())) > 0:
        free = given < room
        asked = np.where(free, weights, 0.0)
        asked = asked if asked.any() else free.astype(np.float64)
        whole = np.floor(asked / math.fsum(asked.tolist()) * missing).astype(np.int64)
        if not whole.any():
            whole[np.argsort(-asked, kind="stable")[: min(missing, int((asked > 0).sum()))]] = 1
        given += np.minimum(whole, room - given)
    return given


def aligned(mixture: Group, size: int) -> Group:
    """A mixture whose weights change where blocks begin: at the first from a position on."""
    if size == 1:
        return mixture
    points = (
        replace(point, at=_up(point.at, size), until=None if point.until is None else _up(point.until, size))
        for point in mixture.points
    )
    parts = (aligned(part, size) if isinstance(part, Group) else part for part in mixture.parts)
    return replace(mixture, parts=tuple(parts), points=tuple(points))


def _up(position: int, size: int) -> int:
    return -(-position // size) * size


def _before(values: Int64s, count: int) -> Int64s:
    """How many equal values stand before each one."""
    found = np.empty(len(values), np.int64)
    for value in range(count):
        own = values == value
        found[own] = np.arange(int(own.sum()))
    return found
