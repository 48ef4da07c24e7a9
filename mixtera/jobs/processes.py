"""What each process has for itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class OfProcess(Generic[_Value]):
    """A value of this process. A fork makes its own: it has neither the threads of its parent, nor who held its locks.

    Args:
        make: Makes the value.
    """

    def __init__(self, make: Callable[[], _Value]) -> None:
        self._make = make
        self.renew()

    @property
    def here(self) -> _Value:
        """The value."""
        if self._process != os.getpid():
            self.renew()
        return self._value

    def renew(self) -> None:
        """Make another one."""
        self._process, self._value = os.getpid(), self._make()
