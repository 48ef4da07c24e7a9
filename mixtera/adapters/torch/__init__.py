"""PyTorch: a data set for one's own DataLoader, and a loader that counts what the trainer consumed.

::

    from mixtera.adapters.torch import loader

    batches = loader("plans/web", batch_size=32, num_workers=2)   # or a job: mixtera.Job.local(plan, "jobs/run-7")
    for batch in batches:
        batch["text"], batch["component"], batch["component_id"], batch["sample"]
    batches.state_dict()
"""

from __future__ import annotations

from mixtera.adapters.torch.dataset import MixteraDataset
from mixtera.adapters.torch.loader import PlanLoader, loader
from mixtera.adapters.torch.ranks import Coordinate, topology

__all__ = ["Coordinate", "MixteraDataset", "PlanLoader", "loader", "topology"]
