"""What a process may use: clients belong to the process that made them, and obstore does not survive a fork."""

from __future__ import annotations

import gc
import os
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mixtera_backends.storage.s3.clients import Clients


class _Process:
    """This process: whether obstore was used here, or by the process that this one is a fork of.

    Attributes:
        clients: Those of this process.
        inherited: Those of its parent. A child neither uses nor frees them: obstore would wait for threads that a child
            does not have, or for a lock that one of them held.
    """

    def __init__(self) -> None:
        self.used_obstore = False
        self.may_use_obstore = True
        self.clients: Final[weakref.WeakSet[Clients]] = weakref.WeakSet()
        self.inherited: Final[list[Clients]] = []

    def forked(self) -> None:
        """Called in a child right after the fork."""
        if self.used_obstore:
            self.may_use_obstore = False
            gc.freeze()  # answers that are read in part may lie in what the parent had not collected yet
            self.inherited.extend(self.clients)


PROCESS: Final = _Process()
os.register_at_fork(after_in_child=PROCESS.forked)
