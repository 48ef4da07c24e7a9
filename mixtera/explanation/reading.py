"""Reading: files, bytes, units that are read whole, and what one reader or several read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixtera.artifact.model import PlanData
from mixtera.explanation.model import Reading, Reads
from mixtera.explanation.simulation import Watch, simulate
from mixtera.explanation.units import Units, record_bytes, units_of


def reading(data: PlanData, readers: int | None, units: Units | None = None, watch: Watch | None = None) -> Reading:
    """What is read, and by how much more.

    Args:
        data: The plan.
        readers: Readers (ranks × workers) to compare with one; None for no comparison.
        units: The units of the plan, where they are known already.
        watch: Told of what is read by `readers`, or by one where there is no comparison.
    """
    units = units or units_of(data)
    one = simulate(data, units, 1, watch if readers is None else None)
    many = None if readers is None else simulate(data, units, readers, watch)
    whole = units.used_units
    files = np.unique(data.segments.column("file").to_numpy()[units.used])
    return Reading(
        files=len(files),
        bytes=int(data.files.column("size").to_numpy()[files].sum()),
        delivered_bytes=_delivered_bytes(data),
        groups=len(whole),
        largest_group_bytes=int(units.bytes[whole].max(initial=0)),
        one=one,
        many=many,
        suggested=None if many is None else _suggested(data, units, many.readers),
    )


def fitting_lanes(lanes: int, readers: int) -> int:
    """The number of lanes that gives each reader lanes of its own: the next multiple of the readers."""
    return -(-lanes // readers) * readers


def _suggested(data: PlanData, units: Units, readers: int) -> Reads | None:
    lanes = fitting_lanes(data.order.lanes, readers)
    if lanes == data.order.lanes:
        return None
    return simulate(replace(data, order=replace(data.order, lanes=lanes)), units, readers)


def _delivered_bytes(data: PlanData) -> int:
    """Bytes of the records delivered until the end, by the mean record of each component's files."""
    per_row = record_bytes(data)[data.segments.column("file").to_numpy()]
    counts = data.entries.column("count").to_numpy().astype(np.int64)
    entry_bytes = counts * per_row[data.entries.column("segment").to_numpy()]
    component = np.repeat(np.arange(len(data.components)), np.diff(data.component_entries))
    once = np.bincount(component, entry_bytes, len(data.components))
    if data.timeline.total is None:
        return int(once.sum())
    samples = np.array([max(1, component.samples) for component in data.components])
    return int((once * data.timeline.filled(np.array([data.timeline.total]))[0] / samples).sum())
