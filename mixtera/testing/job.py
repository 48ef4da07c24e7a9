"""The laws of a job, whatever it is reached through. Subclass `JobLaws` and say how a job is opened."""

# ruff: noqa: D102 - the name of a law says what it is

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mixtera.errors import JobError, StateError
from mixtera.jobs import Job
from mixtera.plan import Plan
from mixtera.stream import Stream


class JobLaws:
    """What every job must do.

    A subclass defines the fixture `plan` (saved; of at least two components and without an end; it follows the training
    by the algorithm `external`; rounds of a few dozen samples), and others that its `open` needs.
    """

    def open(self, plan: Plan, name: str) -> Job:
        """The job of this name; made at the first call, opened again, beside those that are open, at later ones."""
        raise AssertionError(f"{type(self).__name__} must define open(plan, name)")

    def resume(self, state: Mapping[str, Any], name: str) -> Job:
        """The job of a checkpoint."""
        return Job.resume(state)

    @pytest.mark.parametrize(("ranks", "batch"), [(1, 8), (2, 4), (3, 5), (4, 32)])
    def test_the_stream_is_what_is_decided(self, plan: Plan, ranks: int, batch: int) -> None:
        with self.open(plan, "stream") as job:
            found = trained(job, ranks, batch, 25)
            assert found == decided(job, 0, len(found))
            assert job.status()["changes"] > 5

    def test_other_ranks_go_on_where_the_run_stopped(self, plan: Plan) -> None:
        with self.open(plan, "resumed") as job:
            found = trained(job, 2, 8, 20)
            state = job.checkpoint(len(found) + plan.start)
        with self.resume(state, "resumed") as job:
            assert job.start == plan.start + 320
            found += trained(job, 4, 8, 10, first=20)
            assert found == decided(job, 0, len(found))

    def test_an_older_checkpoint_gives_the_same_samples_again(self, plan: Plan) -> None:
        with self.open(plan, "older") as job:
            trained(job, 2, 8, 10)
            state = job.checkpoint(plan.start + 160)
            job.load_state_dict(state)
            second = trained(job, 2, 8, 20, first=10)
            changes = job.status()["changes"]
        with self.resume(state, "older") as job:
            # the same steps are reported again, with other weights: they do not count
            assert trained(job, 2, 8, 20, first=10, pushed={job.components[0]: 1.0}) == second
            assert job.status()["changes"] == changes

    def test_a_step_counts_once(self, plan: Plan) -> None:
        with self.open(plan, "once") as job:
            one, other = job.components[:2]
            push(job, 5, {one: 1.0})
            before = job.status()
            push(job, 5, {other: 1.0})
            push(job, 3, {other: 1.0})
            assert job.status() == before
            assert job.weights[one] == 1.0

    def test_ranks_far_apart_read_one_timeline(self, plan: Plan) -> None:
        with self.open(plan, "apart") as ahead, self.open(plan, "apart") as behind:
            fast, slow = ahead.stream(4, 0, 2), behind.stream(4, 1, 2)
            first = []
            for step in range(120):
                first += samples([fast])
                push(ahead, step, weights_of(ahead, step), plan.start + (step + 1) * 8)
            second = [sample for _ in range(120) for sample in samples([slow])]
            whole = decided(behind, 0, 960)
        assert first == [whole[8 * step + n] for step in range(120) for n in range(4)]
        assert second == [whole[8 * step + 4 + n] for step in range(120) for n in range(4)]

    def test_what_was_promised_does_not_change(self, plan: Plan) -> None:
        with self.open(plan, "promised") as job:
            stream = job.stream(8)
            kept: list[tuple[str, int]] = []
            for step in range(40):
                samples([stream])
                push(job, step, weights_of(job, step))
                end = job.status()["promised"] - plan.start
                now = decided(job, 0, end)
                assert now[: len(kept)] == kept
                kept = now

    def test_new_weights_hold_from_the_named_position_on(self, plan: Plan) -> None:
        with self.open(plan, "since") as job:
            stream = job.stream(16)
            samples([stream])
            push(job, 0, {job.components[1]: 1.0})
            since = job.status()["since"] - plan.start
            size = job.plan.data.order.chunk_size * job.plan.data.order.lanes
            assert since == 2 * size
            found = samples([stream])
            while len(found) < since + 10 * size:
                found += samples([stream])
            number = {name for name, _ in found[since - 16 + size : since + 9 * size]}
            assert number == {job.components[1]}

    def test_states_are_small_json_and_know_their_plan(self, plan: Plan) -> None:
        with self.open(plan, "states") as job:
            trained(job, 1, 8, 30)
            state = job.checkpoint(plan.start + 240)
            assert len(json.dumps(state)) < 1000
            with pytest.raises(StateError, match="another plan"):
                job.load_state_dict(state | {"plan": "sha256:0"})
            with pytest.raises(StateError):
                job.checkpoint(plan.start + 10**9)

    def test_numbers_of_no_component_are_refused(self, plan: Plan) -> None:
        with self.open(plan, "numbers") as job, pytest.raises(JobError, match="no such component"):
            job.feedback(0, {"no such component": 1.0}, {})

    def test_losses_that_are_none_do_no_harm(self, plan: Plan) -> None:
        with self.open(plan, "nan") as job:
            counts = dict.fromkeys(job.components, 1)
            for step, wrong in enumerate((float("nan"), float("inf"), -1.0)):
                job.feedback(step, dict.fromkeys(job.components, wrong), counts)
            status = job.status()
            assert (status["step"], status["changes"]) == (2, 0)


def weights_of(job: Job, number: int) -> dict[str, float]:
    """Weights that are the same at every call with the same number."""
    random = np.random.default_rng(number)
    return dict(zip(job.components, random.uniform(0.05, 1, len(job.components)).tolist(), strict=True))


def push(job: Job, step: int, weights: Mapping[str, float], position: int | None = None) -> None:
    """Have the algorithm `external` take weights over."""
    counts = dict.fromkeys(job.components, 1)
    job.feedback(step, counts, counts, scalars={"weights": weights}, position=position)


def samples(streams: list[Stream]) -> list[tuple[str, int]]:
    """Component and sample of one step, over all ranks, in the global order."""
    found: list[tuple[str, int]] = []
    for stream in streams:
        batch = next(stream)
        found += zip(batch["component"].to_pylist(), batch["sample"].to_pylist(), strict=True)
    return found


def trained(
    job: Job, ranks: int, batch: int, steps: int, first: int = 0, pushed: Mapping[str, float] | None = None
) -> list[tuple[str, int]]:
    """Some steps of all ranks, with new weights after each."""
    streams = [job.stream(batch, rank, ranks) for rank in range(ranks)]
    found = []
    for step in range(first, first + steps):
        found += samples(streams)
        push(job, step, weights_of(job, step) if pushed is None else pushed, streams[0].position)
    job.flush()
    for stream in streams:
        stream.close()
    return found


def decided(job: Job, start: int, stop: int) -> list[tuple[str, int]]:
    """Component and sample of positions, by the pointers of what the job has decided."""
    first = job.plan.start
    table = job.decided().samples(first + start, first + stop)
    return list(zip(table["component"].to_pylist(), table["sample"].to_pylist(), strict=True))
