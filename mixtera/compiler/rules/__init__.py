"""Rewrite rules: pure functions Emit → Emit that keep what a plan means. One file a rule; `RULES` is their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from mixtera.compiler.nodes import Emit
from mixtera.compiler.rules.drop_unreachable import drop_unreachable
from mixtera.compiler.rules.expand_matches import expand_matches
from mixtera.compiler.rules.flatten import flatten
from mixtera.compiler.rules.fold_dataset import fold_dataset
from mixtera.compiler.rules.fold_missing import fold_missing
from mixtera.compiler.rules.prune_columns import prune_columns
from mixtera.compiler.rules.push_not import push_not

Rule: TypeAlias = Callable[[Emit], Emit]

RESOLVING: Final[tuple[Rule, ...]] = (expand_matches, fold_dataset, fold_missing)
"""What every plan needs before it is lowered: they leave only predicates on columns that an engine can see."""

SIMPLIFYING: Final[tuple[Rule, ...]] = (push_not, flatten, drop_unreachable, prune_columns)
"""What makes the expression smaller and easier to read."""

RULES: Final = RESOLVING + SIMPLIFYING
