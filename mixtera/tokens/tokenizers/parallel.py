"""How many threads a tokenizer uses: all processors in a process of its own, one in a forked worker.

The library `tokenizers` has a pool of threads, which a fork does not copy: it would warn in the child, or hang where
`TOKENIZERS_PARALLELISM=true` forbids it to look. So the variable says `false` in every child that is forked once a
tokenizer is open, whatever the parent says. Several workers use the processors anyway.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Final

_VARIABLE: Final = "TOKENIZERS_PARALLELISM"
_OFF: Final = frozenset({"", "off", "false", "f", "no", "n", "0"})


def threads() -> int:
    """Threads to encode with: the processors of this process, or 1 where `TOKENIZERS_PARALLELISM` says no."""
    said = os.environ.get(_VARIABLE)
    if said is not None and said.lower() in _OFF:
        return 1
    return len(os.sched_getaffinity(0))


@cache
def one_thread_in_forks() -> None:
    """Make every process that is forked from this one encode with one thread; safe to call again."""
    before: list[str | None] = []

    def switch_off() -> None:
        before.append(os.environ.get(_VARIABLE))
        os.environ[_VARIABLE] = "false"  # before the fork: the library looks in the child before Python runs there

    def restore() -> None:
        said = before.pop()
        if said is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = said

    os.register_at_fork(before=switch_off, after_in_parent=restore)
