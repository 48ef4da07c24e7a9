"""Arrow columns as numpy arrays on the host: strings and bytes become `object` arrays, numbers keep their type."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import is_plain, to_numpy

HostColumns = dict[str, npt.NDArray[np.generic]]


def host_columns(batch: pa.RecordBatch) -> HostColumns:
    """The columns of a batch as numpy arrays.

    Beside the batch's own columns there is `component_id`, [n] int32: the place of the component in the plan, as a
    number, for losses per domain. A content column of that name is left alone.

    Args:
        batch: A batch of a stream.

    Returns:
        Strings, bytes and lists as `object` arrays, lists of fixed size as [n, size], numbers as they are; not writable
        where they are views of the batch.
    """
    columns = {name: _host(batch.column(name)) for name in batch.schema.names}
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
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return np.array(array.to_pylist(), object)
    return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
