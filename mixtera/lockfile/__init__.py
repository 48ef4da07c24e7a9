"""The lock of a spec: what it compiled to, written down so that a later change of it is seen."""

from mixtera.lockfile.beside import BESIDE, checked, held, lock_path
from mixtera.lockfile.difference import LockDifference
from mixtera.lockfile.lock import Lock

__all__ = ["BESIDE", "Lock", "LockDifference", "checked", "held", "lock_path"]
