"""Arrow columns as numpy arrays on the host: strings and bytes become `object` arrays, numbers keep their type."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.adapters.rows import row_columns
from mixtera.arrow import is_plain, to_numpy

_STARTS: Final = "document_starts"

HostColumns = dict[str, npt.NDArray[np.generic]]


def host_columns(batch: pa.RecordBatch) -> HostColumns:
    """The columns of a batch as numpy arrays.

    Beside the batch's own columns there is `component_id`, [n] int32: the place of the component in the plan, as a
    number, for losses per domain. A content column of that name is left alone. With rows of tokens, `document_starts`
    becomes what `mixtera.adapters.rows` makes of it.

    Args:
        batch: A batch of a stream.

    Returns:
        Strings and bytes as `object` arrays, lists (of tokens) as an `object` array of arrays, lists of fixed size as
        [n, size], numbers as they are; not writable where they are views of the batch.
    """
    rows = row_columns(batch)
    columns = {name: _host(batch.column(name)) for name in batch.schema.names if not rows or name != _STARTS}
    columns |= rows
    component = batch.column("component")
    columns.setdefault("component_id", to_numpy(component.indices))
    return columns


def _host(array: pa.Array) -> npt.NDArray[np.generic]:
    kind = array.type
    if pa.types.is_dictionary(kind):
        names = _host(array.dictionary)
        taken: npt.NDArray[np.generic] = names[to_numpy(array.indices).astype(np.int64)]
        return taken
    if pa.types.is_fixed_size_list(kind):
        values = _host(array.flatten())
        return values.reshape(len(array), kind.list_size)
    if is_plain(array):
        return to_numpy(array)
    if is_list_of_numbers(array):
        return _parts(to_numpy(array.values), _edges(array))
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return np.array(array.to_pylist(), object)
    return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def is_list_of_numbers(array: pa.Array) -> bool:
    """Whether an array is of lists of plain numbers, such as the tokens of documents."""
    is_list = pa.types.is_list(array.type) or pa.types.is_large_list(array.type)
    return is_list and array.null_count == 0 and is_plain(array.values)


def _edges(array: pa.Array) -> list[int]:
    """Where each list begins in the values, and the last one ends."""
    kind = np.int64 if pa.types.is_large_list(array.type) else np.int32
    offsets = array.buffers()[1]
    if offsets is None or not len(array):
        return [0]
    edges = np.frombuffer(offsets, kind)[array.offset : array.offset + len(array) + 1]
    found: list[int] = edges.tolist()
    return found


def _parts(values: npt.NDArray[np.generic], edges: list[int]) -> npt.NDArray[np.generic]:
    """Views of the values between the edges, as an `object` array, whatever their lengths."""
    parts = np.empty(len(edges) - 1, object)
    for number, (start, stop) in enumerate(pairwise(edges)):
        parts[number] = values[start:stop]
    return parts
