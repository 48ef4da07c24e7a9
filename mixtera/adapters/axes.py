"""Which dimensions of a mesh of devices have samples of their own, by the names that trainers give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mixtera.errors import PlanError

DATA: Final = frozenset(
    (
        *("dp", "dp_replicate", "dp_shard", "dp_shard_mod_ep", "dp_shard_in_ep", "data", "data_parallel", "batch"),
        *("replicate", "replica", "shard", "fsdp", "fsdp_transpose", "hsdp", "ep", "expert", "expert_parallel"),
    )
)
"""Each place along these reads samples of its own. Experts are spread over ranks that have their own, too."""
MODEL: Final = frozenset(
    (
        *("tp", "tensor", "tensor_parallel", "tensor_transpose", "tensor_sequence", "model", "mdl"),
        *("pp", "pipeline", "pipeline_parallel", "stage"),
        *("cp", "context", "context_parallel", "context_autoregressive", "autoregressive", "sequence"),
    )
)
"""All places along these work on the same samples."""


def data_axes(names: Sequence[str], given: Sequence[str] | None = None) -> tuple[str, ...]:
    """The dimensions along which samples differ, in the order of the mesh.

    Args:
        names: Names of all dimensions.
        given: Those of data, where the names do not tell.

    Raises:
        PlanError: A name does not tell, or is not one of the mesh.
    """
    if given is not None:
        missing = [name for name in given if name not in names]
        if missing or isinstance(given, str):
            raise PlanError(f"data is {given!r}; give names of dimensions of the mesh: {', '.join(names)}")
        return tuple(name for name in names if name in given)
    unknown = [name for name in names if name not in DATA | MODEL]
    if unknown:
        raise PlanError(
            f"the mesh has the dimension {unknown[0]!r}, whose name does not tell whether its ranks work on the same "
            f"samples; say which dimensions have samples of their own, out of {', '.join(names)}: data=(…)"
        )
    return tuple(name for name in names if name in DATA)
