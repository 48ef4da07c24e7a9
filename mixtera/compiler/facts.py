"""What the compiler found, kept with the plan for `explain`. Plain JSON values; no part of the digest."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

from mixtera.compiler.bounds import bounded_shares
from mixtera.compiler.build import SourcePlan
from mixtera.compiler.components import Member
from mixtera.compiler.continuation import Takeover
from mixtera.compiler.inputs import Catalog
from mixtera.compiler.labels import Labels
from mixtera.compiler.leaves import components
from mixtera.compiler.show import show
from mixtera.contracts.storage import StorageOptions
from mixtera.order.exhaustion import Course
from mixtera.order.shares import Group, Stretch, stretches
from mixtera.spec.model import Grouped, Parts, Spec


def facts(
    spec: Spec, plans: Sequence[SourcePlan], labels: Labels, members: Sequence[Member], catalog: Catalog
) -> dict[str, Any]:
    """The facts of a compilation.

    Returns:
        definition: The spec file, its filter, its mixture as a tree, as text.
        catalog: Where the catalog lies.
        sources: Per source: files, bytes, rows in the catalog; dropped by the filter, unassigned to any component,
            left out for weight 0, selected; snapshot; types.
        left_out: Components of weight 0: name and samples.
        storage: What the spec says of storages, where it does.
        beside: Source → file → what lies beside it as it was indexed, where a format has such files.
        made: When, and by which version.
    """
    return {
        "definition": {
            "file": spec.file,
            "filter": None if spec.filter is None else show(spec.filter),
            "mixture": _tree(spec.mixture.parts),
        },
        "catalog": catalog.url,
        "sources": [_source(number, plan, labels, members) for number, plan in enumerate(plans)],
        "left_out": [{"name": m.name, "samples": m.samples} for m in members if not m.chosen],
        **({"storage": {name: dict(options) for name, options in storage}} if (storage := _storage(spec)) else {}),
        **({"beside": beside} if (beside := _beside(plans)) else {}),
        "made": {"at": datetime.datetime.now(datetime.UTC).isoformat("T", "seconds"), "by": version("mixtera")},
    }


def _beside(plans: Sequence[SourcePlan]) -> dict[str, dict[str, str]]:
    """What lies beside files, as they were indexed."""
    found = {}
    for plan in plans:
        pairs = zip(*(plan.indexed.files.column(name).to_pylist() for name in ("name", "beside")), strict=True)
        found[plan.source.name] = {name: mark for name, mark in pairs if mark}
    return {source: marks for source, marks in found.items() if marks}


def _storage(spec: Spec) -> StorageOptions:
    """What the spec says of storages: the same for all sources."""
    return spec.sources[0].storage if spec.sources else ()


def continues(found: Takeover) -> dict[str, Any]:
    """What becomes of the components of a plan that takes over from another.

    Returns:
        continues: `components` (name, fate, delivered, consumed) and the names of those that are `gone`.
    """
    return {"continues": {"components": [asdict(one) for one in found.taken], "gone": list(found.gone)}}


def over_time(spec: Spec, mixture: Group, found: Course, members: Sequence[Member], first: int = 0) -> dict[str, Any]:
    """What is known of the mixture's course, in positions counted from the plan's first.

    Returns:
        budget: Samples at most, or None.
        batch: Samples of a step over all ranks, where the budget is written in steps; or None.
        ended_by: The component whose next seat cannot be filled, or None.
        stretches: Positions over which weights do not change (`ramp` false) or change smoothly.
        bounded: Where floors and ceilings change what is asked: the part, the position from which its weights hold,
            its share among its siblings as asked and as it is.
    """
    chosen = [member.name for member in members if member.chosen]
    budget = spec.mixture.budget
    return {
        "budget": None if budget is None else budget.samples - first,
        "batch": None if budget is None else budget.batch,
        "ended_by": None if found.ended_by is None else chosen[found.ended_by],
        "stretches": [asdict(part) for part in _from_first(stretches(mixture), first)],
        "bounded": [asdict(share) for share in bounded_shares(mixture, chosen)],
    }


def _from_first(parts: Sequence[Stretch], first: int) -> Iterator[Stretch]:
    for part in parts:
        if part.last is None or part.last > first:
            last = None if part.last is None else part.last - first
            yield replace(part, first=max(0, part.first - first), last=last)


def _source(number: int, plan: SourcePlan, labels: Labels, members: Sequence[Member]) -> dict[str, Any]:
    counts, kept, rows = labels.counts[number], int(labels.kept[number]), plan.indexed.rows
    selected = int(sum(counts[member.code] for member in members if member.chosen))
    sizes = plan.indexed.files.column("size").to_pylist()
    return {
        "name": plan.source.name,
        "format": plan.source.format,
        "files": len(sizes),
        "bytes": sum(sizes),
        "rows": rows,
        "dropped": rows - kept,
        "held_out": int(labels.held_out[number]),
        "unassigned": kept - int(labels.held_out[number]) - int(labels.whole[number].sum()),
        "excluded": int(labels.whole[number].sum() - counts.sum()),
        "weightless": int(counts.sum()) - selected,
        "selected": selected,
        "snapshot": plan.indexed.snapshot_id,
        "types": dict(plan.indexed.types),
        "lacks": [name for name, _ in plan.plan.scan.missing],
    }


def _tree(parts: Parts) -> list[dict[str, Any]]:
    """The mixture as it is written: name, condition and weight of every component, outer before inner."""
    if isinstance(parts, Grouped):
        return [{"by": list(parts.by), "weights": type(parts.weights).__name__.lower()}]
    return [
        {
            "name": "/".join(path),
            "where": None if component.where is None else show(component.where),
            "weight": component.weight,
            "by": list(component.parts.by) if isinstance(component.parts, Grouped) else [],
        }
        for path, component in components(parts)
    ]
