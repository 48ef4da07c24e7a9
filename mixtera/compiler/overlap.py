"""Which siblings claim the same samples: the first match takes them, and that is not always what was meant."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from mixtera.compiler.build import build
from mixtera.compiler.inputs import Catalog
from mixtera.compiler.leaves import components
from mixtera.compiler.lower import condition, selected
from mixtera.compiler.nodes import Choose, Constant, Emit, Outcome
from mixtera.compiler.pipeline import session
from mixtera.compiler.rewrite import rewrite_plan
from mixtera.compiler.rules import RESOLVING
from mixtera.contracts.engine import Engine
from mixtera.spec.model import Listed, Parts, Spec

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True, slots=True)
class Overlap:
    """Samples for which the predicates of two siblings are both true; the first of them takes them.

    Attributes:
        first: Full name of the component that takes them.
        second: Full name of the one that would, if it came before.
        samples: How many there are.
    """

    first: str
    second: str
    samples: int


def overlap(spec: Spec, catalog: Catalog, engine: str | Engine = "duckdb") -> list[Overlap]:
    """Pairs of siblings that claim the same samples, in the order of the spec; one query per source.

    Components without `where` claim nothing. Inside a component only the samples count that it takes.

    Raises:
        SpecError: The spec does not fit the data's types.
        CatalogError: A source is not indexed, or was indexed differently.
        EngineError: The engine failed.
    """
    found: dict[tuple[str, str], int] = {}
    plans = build(spec, [catalog.source(source) for source in spec.sources])
    with session(engine, plans) as running:
        for plan in plans:
            if not plan.indexed.is_empty:
                counts = _counts(rewrite_plan(plan.plan, RESOLVING), spec.mixture.parts, running)
                found |= {pair: found.get(pair, 0) + samples for pair, samples in counts.items()}
    place = {"/".join(path): number for number, (path, _) in enumerate(components(spec.mixture.parts))}
    pairs = sorted(found, key=lambda pair: (place[pair[0]], place[pair[1]]))
    return [Overlap(*pair, found[pair]) for pair in pairs if found[pair]]


def _counts(plan: Emit, parts: Parts, engine: Engine) -> dict[tuple[str, str], int]:
    table = selected(plan)
    pairs = list(_Pairs(table, plan).of(parts, plan.input.outcome, "", None))
    if not pairs:
        return {}
    sums = {f"pair_{number}": table.count(where=both).cast("int64") for number, (*_, both) in enumerate(pairs)}
    rows = [row for batch in engine.batches(table.aggregate(**sums)) for row in batch.to_pylist()]
    return {(first, second): rows[0][f"pair_{number}"] for number, (first, second, _) in enumerate(pairs)}


class _Pairs:
    def __init__(self, table: ir.Table, plan: Emit) -> None:
        self._table, self._own = table, dict(plan.scan.columns)

    def of(
        self, parts: Parts, outcome: Outcome, path: str, reached: ir.BooleanValue | None
    ) -> Iterator[tuple[str, str, ir.BooleanValue]]:
        """Both names of every pair of siblings, and the condition that both claim a sample that reaches them."""
        if not isinstance(parts, Listed) or not isinstance(outcome, Choose):
            return
        names = [path + component.name for component in parts.components]
        claims = [condition(branch.condition, self._table, self._own) for branch in outcome.branches]
        claiming = [number for number, component in enumerate(parts.components) if component.where is not None]
        for first, second in combinations(claiming, 2):
            if Constant(False) not in (outcome.branches[first].condition, outcome.branches[second].condition):
                yield names[first], names[second], _all(reached, claims[first], claims[second])
        for number, component in enumerate(parts.components):
            if component.parts is not None:
                before = [~claim.fill_null(False) for claim in claims[:number]]
                taken = _all(reached, claims[number], *before)
                yield from self.of(component.parts, outcome.branches[number].then, f"{names[number]}/", taken)


def _all(reached: ir.BooleanValue | None, *terms: ir.BooleanValue) -> ir.BooleanValue:
    return functools.reduce(operator.and_, terms if reached is None else (reached, *terms))
