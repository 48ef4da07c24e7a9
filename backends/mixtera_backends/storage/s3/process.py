"""What a process may use: clients belong to the process that made them, and obstore does not survive a fork."""

from __future__ import annotations

import os
from typing import Final


class _Process:
    """This process: whether obstore was used here, or by the process that this one is a fork of."""

    def __init__(self) -> None:
        self.used_obstore = False
        self.may_use_obstore = True

    def forked(self) -> None:
        """Called in a child right after the fork."""
        self.may_use_obstore = self.may_use_obstore and not self.used_obstore


PROCESS: Final = _Process()
os.register_at_fork(after_in_child=PROCESS.forked)

INHERITED: Final[list[object]] = []
"""Clients of the parent. A child neither uses nor frees them: they would wait for threads that it does not have."""
