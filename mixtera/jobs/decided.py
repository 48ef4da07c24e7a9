"""The plan of a job as far as it is decided."""

from __future__ import annotations

from dataclasses import replace

from mixtera.artifact.skips import Skip
from mixtera.jobs.model import Promise
from mixtera.order.timeline import Timeline
from mixtera.plan import Plan


def decided(plan: Plan, promise: Promise | None, skips: tuple[Skip, ...]) -> Plan:
    """A plan that is known from its beginning to its end.

    Args:
        plan: The job's plan.
        promise: What is promised of a plan that follows the training, from the first round on; None for others.
        skips: What was delivered in place of samples that could not be read.
    """
    data = plan.data
    if promise is None and not skips:
        return plan
    timeline = data.timeline
    if promise is not None:
        end = promise.rounds * round_size(plan) if promise.total is None else promise.total
        timeline = Timeline(tuple(promise.timeline(data.order_version)), end)
    known = replace(data, timeline=timeline, steering=None, skips=skips)
    found = Plan(known, plan.path, plan.digest, plan.remap)
    found.url = plan.url
    return found


def round_size(plan: Plan) -> int:
    """Positions of a round."""
    return plan.data.order.chunk_size * plan.data.order.lanes
