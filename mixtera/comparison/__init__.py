"""What changes from one plan to another: weights, samples, files, order, and from which step."""

from mixtera.comparison.compare import Comparison, compare
from mixtera.comparison.side import Side, side_of_lock, side_of_plan

__all__ = ["Comparison", "Side", "compare", "side_of_lock", "side_of_plan"]
