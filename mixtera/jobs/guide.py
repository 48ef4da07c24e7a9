"""The guide of a stream: promises of a job, asked for ahead and taken over one after the other."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future

from mixtera.jobs.channel import Channel
from mixtera.jobs.model import Promise
from mixtera.jobs.port import JobPort
from mixtera.order.promised import Promised


class JobGuide:
    """See `mixtera.stream.guide.Guide`. Belongs to one stream; in a forked child, to the child's copy of it."""

    def __init__(self, port: JobPort, channel: Channel) -> None:
        """Prepare; nothing is asked yet."""
        data = port.plan.data
        self.timeline = Promised(data.order_version)
        self._round_size = data.order.chunk_size * data.order.lanes
        self._port, self._channel = port, channel
        self._first = self._asked = self._turn = 0
        self._last: Future[None] | None = None
        self._process, self._guard = os.getpid(), threading.Lock()

    def ask(self, first: int, rounds: int) -> None:
        """See `Guide`."""
        self._check_process()
        with self._guard:
            if first < self._first:  # the stream went back: what was forgotten is asked for again
                self._turn, self._asked, self._last = self._turn + 1, 0, None
                self.timeline.extend((), None, 0)
            self._first = first
            if rounds <= self._asked or self.is_promised(rounds):
                return
            self._asked, turn = rounds, self._turn
            self._last = self._channel.send(lambda: self._take(self._port.promise(first, rounds), rounds, turn))

    def wait(self, rounds: int) -> None:
        """See `Guide`."""
        self._check_process()
        while not self.is_promised(rounds):
            self.ask(self._first, rounds)
            last = self._last
            if last is None:
                continue
            try:
                last.result()
            except BaseException:
                with self._guard:
                    if self._last is last:  # what failed may be asked again
                        self._asked, self._last = 0, None
                raise

    def is_promised(self, rounds: int) -> bool:
        """See `Guide`."""
        return self.timeline.total is not None or self.timeline.known >= rounds * self._round_size

    def _check_process(self) -> None:
        """In a forked child, ask anew: the thread that is asked there is the parent's, and so is who holds the lock."""
        if self._process != os.getpid():
            self._process, self._guard = os.getpid(), threading.Lock()
            self._asked, self._last = 0, None

    def _take(self, promise: Promise, rounds: int, turn: int) -> None:
        """Take a promise over. Where rounds are missing at its end, the end of the plan lies before them."""
        phases = promise.timeline(self.timeline.order_version)
        with self._guard:
            if turn == self._turn:
                self.timeline.extend(phases, promise.total, promise.rounds * self._round_size)
