"""Arrow batches → dicts of what a PyTorch trainer wants: numbers as tensors, strings as `str`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from mixtera.adapters.columns import host_columns

Value: TypeAlias = torch.Tensor | list[str] | list[bytes] | list[torch.Tensor]
Batch: TypeAlias = dict[str, Value]


def torch_batch(batch: pa.RecordBatch) -> Batch:
    """One batch as a dict.

    Args:
        batch: A batch of a stream, of n samples.

    Returns:
        Content columns (strings as a list of `str`, bytes as one of `bytes`, numbers as a tensor [n], lists of fixed
        size as [n, size], other lists, such as tokens, as a list of tensors [length]), `component` (list of names),
        `component_id` and `sample`
        ([n] int64 tensors).
    """
    return {name: _value(name, column) for name, column in host_columns(batch).items()}


def torch_batches(samples: pa.RecordBatch, batch_size: int) -> list[Batch]:
    """Many samples as batches of `batch_size`; the tensors of all of them share memory, but no element.

    Converting once and cutting afterwards costs a fraction of converting each batch.
    """
    whole = torch_batch(samples)
    cut = {name: _cut(value, batch_size) for name, value in whole.items()}
    return [dict(zip(cut, parts, strict=True)) for parts in zip(*cut.values(), strict=True)]


def _value(name: str, column: npt.NDArray[np.generic]) -> Value:
    if column.dtype == object:
        values: list[str] = column.tolist()
        if len(values) and isinstance(column[0], np.ndarray):
            return _tensors(column.tolist())
        return values
    if name == "component_id":
        return torch.from_numpy(column.astype(np.int64))
    return torch.from_numpy(np.array(column))


def _tensors(lists: list[npt.NDArray[np.generic]]) -> list[torch.Tensor]:
    """A tensor a list, as parts of one: converting each on its own takes twice as long."""
    whole = torch.from_numpy(np.concatenate(lists))
    return list(torch.split(whole, [len(one) for one in lists]))


def _cut(value: Value, batch_size: int) -> Sequence[Value]:
    if isinstance(value, torch.Tensor):
        return list(torch.split(value, batch_size))
    return [value[first : first + batch_size] for first in range(0, len(value), batch_size)]
