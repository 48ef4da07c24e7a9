"""What a plan of sequences leaves of a component for the one that takes over, and whether one can take over at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtera.artifact.model import PlanData, TokenLayout
from mixtera.errors import PlanError


@dataclass(frozen=True, slots=True)
class Used:
    """What is used up of a component whose documents are cut into sequences.

    Attributes:
        epochs: Whole epochs before its first one.
        tokens: Tokens of an epoch.
        gone: Tokens of them that the first epoch leaves out.
        given: Sequences that were delivered since the first epoch began.
    """

    epochs: int
    tokens: int
    gone: int
    given: int

    def consumed(self, stride: int, overlap: int, places: int | None, limit: int | None) -> int:
        """Sequences that are used up: of those that it may fill, all but the ones that the tokens left to it fill.

        Args:
            stride: Tokens from one sequence to the next.
            overlap: Tokens that a sequence shares with the one before it.
            places: How many sequences it may fill over all epochs; None without end.
            limit: How many tokens these are cut from; None likewise.
        """
        before = self.epochs * self.tokens + self.gone
        if places is None or limit is None:
            return before // stride + self.given
        left = max(0, (limit - before - overlap) // stride) - self.given
        return places - max(0, left)


def check_kinds(old: PlanData, new: PlanData) -> None:
    """Refuse what no plan can take over.

    Raises:
        PlanError: Positions are another thing in the new plan, or rows are of whole documents.
    """
    for data, what in ((old, "the plan that the run stands in"), (new, "the new plan")):
        if data.tokens is not None and data.tokens.parameters.packing == "best_fit":
            raise PlanError(
                f"{what}, {data.name!r}, has `packing: best_fit`: which documents share a row is fitted ahead for "
                "whole epochs, and cannot be taken over in mid-run; end the run there and begin another one, or use "
                "`packing: concat` from the start"
            )
        if data.blocks is not None:
            raise PlanError(
                f"{what}, {data.name!r}, has components that deliver different things (`deliver`): this version cannot "
                "take over in mid-run there; end the run and begin another one"
            )
    if old.packs != new.packs:
        kinds = ["sequences of tokens" if data.packs else "samples" for data in (old, new)]
        raise PlanError(
            f"positions of the plan {old.name!r} are {kinds[0]}, and those of {new.name!r} are {kinds[1]}: budgets, "
            "schedules and steps would count both as one; give both specs the same `packing` under `tokens:`, or begin "
            "another run"
        )


def same_tokens(old: TokenLayout | None, new: TokenLayout | None, before: slice, now: slice) -> bool:
    """Whether a component's documents become the same sequences.

    Args:
        old: The layout before.
        new: The layout now.
        before: Numbers of the component's samples before.
        now: Likewise.
    """
    if old is None or new is None or not (old.packs and new.packs):
        return True  # a position is a sample: in whatever form, it is delivered once
    one, other = old.parameters, new.parameters
    return one.rows == other.rows and np.array_equal(old.counts[before], new.counts[now])
