"""What a process says to its job, one after the other."""

from __future__ import annotations

import threading

import pytest

from mixtera.errors import JobError, ServiceError
from mixtera.jobs.channel import Channel
from tests.waiting import PATIENCE_SECONDS


@pytest.mark.parametrize(("error", "tries"), [(ServiceError("nobody answers"), 1), (JobError("not that one"), 5)])
def test_what_waits_behind_a_service_that_is_gone_does_not_wait_as_long_each(error: JobError, tries: int) -> None:
    channel, begin, tried = Channel(), threading.Event(), []

    def say() -> None:
        begin.wait(PATIENCE_SECONDS)
        tried.append(len(tried))
        raise error

    for _ in range(5):
        channel.report(say)
    begin.set()
    with pytest.raises(JobError, match=str(error)):
        channel.flush(PATIENCE_SECONDS)
    assert len(tried) == tries
    channel.report(say)  # who has been told may try again
    channel.close()
    assert len(tried) == tries + 1
