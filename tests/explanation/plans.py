"""Plans made by hand for explanations: row groups, compressed files, named components, facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from mixtera.artifact.model import PlanData
from mixtera.order.exhaustion import timeline
from tests.synthetic import NOT_SELECTED


def labels(counts: Sequence[int], files: int, unselected: int = 0, seed: int = 0) -> list[np.ndarray]:
    """Components of the rows of some files, mixed at random."""
    rows = np.repeat([*range(len(counts)), NOT_SELECTED], [*counts, unselected])
    return np.array_split(np.random.default_rng(seed).permutation(rows), files)


def named(data: PlanData, names: Sequence[str]) -> PlanData:
    """The same plan with other names of its components."""
    pairs = zip(data.components, names, strict=True)
    return replace(data, components=tuple(replace(component, name=name) for component, name in pairs))


def repeating(data: PlanData, component: int) -> PlanData:
    """The same plan, with one component that may repeat for ever."""
    parts = list(data.components)
    parts[component] = replace(parts[component], places=None, on_exhaust="repeat")
    phases = timeline([p.weight for p in parts], [p.places for p in parts], [p.on_exhaust for p in parts])
    return replace(data, components=tuple(parts), timeline=phases)


def in_row_groups(data: PlanData, segments: int) -> PlanData:
    """The same plan over a format without offsets, so many segments in each row group."""
    count, table = data.segments.num_rows, data.segments
    file = table.column("file").to_numpy()
    inside = np.arange(count) - np.searchsorted(file, file)
    group = np.cumsum(inside % segments == 0) - 1
    nowhere = pa.array(np.full(count, -1))
    for name, values in (("group", pa.array(group, pa.int32())), ("offset", nowhere), ("start", nowhere)):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), values)
    return replace(data, segments=table, starts=np.empty(0, np.uint32))


def compressed(data: PlanData) -> PlanData:
    """The same plan over compressed files."""
    urls = pa.array([url + ".zst" for url in data.files.column("url").to_pylist()])
    at = data.files.schema.get_field_index("url")
    return replace(data, files=data.files.set_column(at, "url", urls))


def with_facts(data: PlanData, **more: Any) -> PlanData:
    """The same plan with the facts that a compiler would write."""
    source = {"name": "data", "files": 1, "bytes": 1, "rows": 1000, "dropped": 0, "unassigned": 0, "weightless": 0}
    mixture = [{"name": component.name, "weight": component.weight} for component in data.components]
    definition = {"file": "spec.yaml", "filter": more.pop("filter", None), "mixture": more.pop("mixture", mixture)}
    return replace(data, facts={"definition": definition, "sources": [source | more]})
