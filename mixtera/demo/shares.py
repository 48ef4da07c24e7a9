"""Asked and realised shares of the components in a stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixtera.plan import Plan


@dataclass(frozen=True, slots=True)
class Share:
    """A component's share.

    Attributes:
        component: Its full name.
        asked: Its normalised weight.
        realised: Its part of the samples delivered.
        samples: How many that are.
        furthest: Most samples that any prefix of the stream was away from the exact share.
    """

    component: str
    asked: float
    realised: float
    samples: int
    furthest: float


def shares(plan: Plan, count: int) -> list[Share]:
    """The shares in the first `count` samples of a plan, in the order of its components."""
    components = plan.data.components
    column = plan.samples(0, count).column("component").combine_chunks()
    names = pa.array([component.name for component in components])
    numbers = pc.index_in(column.cast(pa.string()), names).to_numpy()
    total = sum(component.weight for component in components)
    return [_share(c.name, c.weight / total, numbers == number) for number, c in enumerate(components)]


def _share(name: str, asked: float, taken: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Share:
    counts = np.cumsum(taken)
    furthest = float(np.abs(counts - asked * np.arange(1, len(taken) + 1)).max(initial=0.0))
    samples = int(taken.sum())
    return Share(name, asked, samples / max(len(taken), 1), samples, furthest)
