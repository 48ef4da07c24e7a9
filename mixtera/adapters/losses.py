"""What the losses of a step are by component: the same report from PyTorch and JAX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mixtera.errors import PlanError


@dataclass(frozen=True, slots=True)
class LossReport:
    """Losses of one step, or of several added up, over all ranks.

    Attributes:
        loss_sum: Component → sum of the losses of its tokens; NaN where one of them is. 0 where there are none.
        loss_count: Component → tokens that count; 0 for a component that did not come.
    """

    loss_sum: dict[str, float]
    loss_count: dict[str, int]

    @property
    def mean(self) -> dict[str, float]:
        """Component → loss per token; only of components that came."""
        return {name: self.loss_sum[name] / count for name, count in self.loss_count.items() if count}

    @property
    def loss(self) -> float:
        """Loss per token, of all components together; NaN where no token counts."""
        count = sum(self.loss_count.values())
        return sum(self.loss_sum.values()) / count if count else math.nan

    def __add__(self, other: LossReport) -> LossReport:
        """Both together: of several micro-batches, or steps."""
        names = list(dict.fromkeys([*self.loss_sum, *other.loss_sum]))
        return LossReport(
            {name: self.loss_sum.get(name, 0.0) + other.loss_sum.get(name, 0.0) for name in names},
            {name: self.loss_count.get(name, 0) + other.loss_count.get(name, 0) for name in names},
        )


def report(components: Sequence[str], sums: Sequence[float], counts: Sequence[float]) -> LossReport:
    """A report out of sums and counts by component id, and one more of what has no component.

    Raises:
        PlanError: Tokens that count have the id of no component.
    """
    if counts[-1]:
        raise PlanError(
            f"{int(counts[-1]):,} tokens have a component id that is none of 0 to {len(components) - 1}; give the "
            "components of the plan that the batch is from, and leave padding out with `mask`"
        )
    return LossReport(
        {name: float(value) for name, value in zip(components, sums, strict=False)},
        {name: int(value) for name, value in zip(components, counts, strict=False)},
    )


def checked(components: Sequence[str], losses: Sequence[int], ids: Sequence[int], mask: Sequence[int] | None) -> None:
    """Refuse shapes that do not fit, and names that are no list of components.

    Args:
        components: Names, by id.
        losses: Shape of the losses.
        ids: Shape of the component ids.
        mask: Shape of the mask.

    Raises:
        PlanError: One does not fit; all of them are named.
    """
    if isinstance(components, str) or not components or len(set(components)) != len(components):
        raise PlanError(f"components is {components!r}; give the names of the plan's components, by id, each once")
    if not 1 <= len(losses) <= 2:
        raise PlanError(
            f"losses have the shape {list(losses)}; give one per token, [batch, tokens], or per sample, [batch]"
        )
    if list(ids) not in (list(losses), list(losses[:1])):
        raise PlanError(
            f"component has the shape {list(ids)} and losses have {list(losses)}; give one id per sample, "
            f"{list(losses[:1])}, or per token, {list(losses)}"
        )
    if mask is not None and list(mask) != list(losses):
        raise PlanError(f"mask has the shape {list(mask)} and losses have {list(losses)}; give one value per loss")
