"""A property that is computed once, without a lock.

`functools.cached_property` of Python 3.11 holds one lock for all objects of a class while one of them computes, and a
process that is forked by another thread at that moment keeps it for ever: a worker of a loader would hang. Python 3.12
took the lock away. Two threads that come at the same time compute the same value twice.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:
    _Value = TypeVar("_Value")

    class cached_property(functools.cached_property[_Value]):  # noqa: N801 - named as what it stands for
        """See `functools.cached_property`."""

        def __get__(self, instance: object, owner: type | None = None) -> object:
            if instance is None:
                return self
            values = vars(instance)
            if self.attrname not in values:
                values[self.attrname] = self.func(instance)
            return values[self.attrname]


__all__ = ["cached_property"]
