"""Properties that are computed once."""

from __future__ import annotations

from threading import Event, Thread

from mixtera.cached import cached_property
from tests.forks import status_in_a_child


class Slow:
    """Computes its value in another thread, until it is let go on."""

    def __init__(self, waits: bool) -> None:
        self.begun, self.go_on, self.times = Event(), Event(), 0
        if not waits:
            self.go_on.set()

    @cached_property
    def value(self) -> int:
        """How often it was computed."""
        self.begun.set()
        self.go_on.wait()
        self.times += 1
        return self.times


def test_a_value_is_computed_once() -> None:
    slow = Slow(waits=False)
    assert (slow.value, slow.value, slow.times) == (1, 1, 1)
    assert isinstance(Slow.value, cached_property)


def test_a_child_that_is_forked_while_it_is_computed_computes_it_too() -> None:
    slow = Slow(waits=True)
    thread = Thread(target=lambda: slow.value)
    thread.start()
    slow.begun.wait()
    try:
        assert status_in_a_child(lambda: Slow(waits=False).value == 1) == 0
    finally:
        slow.go_on.set()
        thread.join()
