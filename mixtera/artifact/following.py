"""Plans whose weights follow the training: alone they do not say which sample comes when."""

from __future__ import annotations

from mixtera.artifact.model import PlanData
from mixtera.errors import PlanError


def check_static(data: PlanData, what: str) -> None:
    """Refuse what only the job of a plan can tell.

    Args:
        data: The plan.
        what: What is asked of it, for the message.

    Raises:
        PlanError: The weights of the plan follow the training.
    """
    if data.steering is not None:
        raise PlanError(
            f"{what}: the weights of plan {data.name!r} follow the training ({data.steering.algorithm}), so its job "
            "says which sample comes when: `mixtera.Job.local(plan, directory)`"
        )
