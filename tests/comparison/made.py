"""Pairs of small plans made by hand, and what can be said of them by looking at every sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from mixtera.artifact.digest import digest
from mixtera.artifact.model import OrderParameters, PlanData
from mixtera.comparison import Side, side_of_plan
from mixtera.plan import Plan
from tests.synthetic import plan_data

ORDER = OrderParameters(7, "global", 64, 3, 16)


def plan_of(data: PlanData) -> Plan:
    """A plan that was never written."""
    return Plan(data, Path("nowhere"), digest(data))


def side_of(data: PlanData, label: str = "plan") -> Side:
    return side_of_plan(label, plan_of(data))


def labels_of(seed: int, files: int, components: int, selected: float = 0.9) -> list[np.ndarray]:
    """Labels of some files, none of which has all its rows selected."""
    random = np.random.default_rng(seed)
    found = [random.integers(0, components, 60 + 7 * file).astype(np.uint8) for file in range(files)]
    for labels in found:
        labels[random.random(len(labels)) > selected] = 255
        labels[:components] = np.arange(components)
    return found


def random_plan(
    seed: int, files: int, weights: Sequence[float], order: OrderParameters = ORDER, segment_rows: int = 16
) -> PlanData:
    labels = labels_of(seed, files, len(weights))
    return plan_data(labels, weights, order=order, segment_rows=segment_rows)


def renamed(data: PlanData, names: Sequence[str]) -> PlanData:
    """The same plan with other names of its components."""
    pairs = zip(data.components, names, strict=True)
    return replace(data, components=tuple(replace(component, name=name) for component, name in pairs))


def with_column(data: PlanData, name: str, values: Sequence[object]) -> PlanData:
    """The same plan with another column of its files."""
    field = data.files.schema.field(name)
    files = data.files.set_column(data.files.schema.get_field_index(name), field, pa.array(values, field.type))
    return replace(data, files=files)


def chosen(data: PlanData) -> dict[tuple[str, int], str]:
    """(file, row) → component, for every selected sample, by looking at each."""
    files, segments = data.files.column("name").to_pylist(), data.segments.to_pylist()
    found: dict[tuple[str, int], str] = {}
    taken, entries = 0, data.entries.to_pylist()
    for number, component in enumerate(data.components):
        for entry in entries[data.component_entries[number] : data.component_entries[number + 1]]:
            segment = segments[entry["segment"]]
            for row in data.rows[taken : taken + entry["count"]].tolist():
                found[files[segment["file"]], segment["row"] + row] = component.name
            taken += entry["count"]
    return found


def delivered(data: PlanData) -> list[tuple[str, int]]:
    """What stands at each position, to the end."""
    table = plan_of(data).samples(0, data.timeline.total or 0)
    return list(zip(table["file"].to_pylist(), table["row"].to_pylist(), strict=True))
