"""Explanation: what a plan will do, as text and JSON."""

from mixtera.explanation.explain import Explanation, explain
from mixtera.explanation.model import Report

__all__ = ["Explanation", "Report", "explain"]
