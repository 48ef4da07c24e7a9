"""What a job says of itself, as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mixtera.jobs.model import JobState
from mixtera.jobs.progress import Rules
from mixtera.order.shares import normalised
from mixtera.plan import Plan


def status(plan: Plan, rules: Rules, state: JobState, records: int) -> dict[str, Any]:
    """The status of a job.

    Returns:
        name, plan (digest), components, weights (shares that were asked for last), since (position from which they
        hold), changes, step (of the last feedback), promised (position before which nothing changes), end (should the
        weights stay), checkpoint (position), topology, fit (step of the one under way), waiting (reports that wait for
        it), skipped (positions at which another sample came, since theirs could not be read), records.
    """
    first, timeline = plan.start, state.course.timeline
    task = rules.open_fit(state)
    topology = None if state.topology is None else asdict(state.topology)
    if topology is not None:
        topology["start"] += first
    return {
        "name": plan.name,
        "plan": plan.digest,
        "components": list(rules.components),
        "algorithm": None if plan.data.steering is None else plan.data.steering.algorithm,
        "weights": normalised(state.course.weights),
        "since": state.course.since + first,
        "changes": state.changes,
        "step": state.step,
        "promised": state.promised * rules.round_size + first,
        "end": None if timeline.total is None else timeline.total + first,
        "checkpoint": None if state.checkpoint is None else state.checkpoint + first,
        "topology": topology,
        "fit": None if task is None else task.step,
        "waiting": len(state.held),
        "skipped": len(state.skips),
        "records": records,
    }
