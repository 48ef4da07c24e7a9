"""JAX: a loader whose numbers are global `jax.Array`s and whose text stays on the host.

::

    from mixtera.adapters.jax import MixteraLoader

    batches = iter(MixteraLoader("plans/web", batch_size=32, sharding=sharding))   # or a job
    for batch in batches:
        batch["text"], batch["component"], batch["component_id"], batch["sample"]
    batches.get_state()

`masks` keeps packed documents apart in attention, `losses` adds up losses by component.
"""

from __future__ import annotations

from mixtera.adapters.jax.loader import HOST_COLUMNS, Batch, BatchIterator, MixteraLoader, jax_batch
from mixtera.adapters.jax.ranks import Coordinate, topology

__all__ = ["HOST_COLUMNS", "Batch", "BatchIterator", "Coordinate", "MixteraLoader", "jax_batch", "topology"]
