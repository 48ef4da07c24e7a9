"""Mixing algorithms: losses in, weights out. Pure functions; `steering` is how they are used."""

from mixtera.algorithms.steering import Outcome, Settings, begin, fitted, given, is_waiting, task, update

__all__ = ["Outcome", "Settings", "begin", "fitted", "given", "is_waiting", "task", "update"]
