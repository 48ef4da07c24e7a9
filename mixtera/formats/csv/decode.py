"""Records of delimited text to Arrow columns, by pyarrow's CSV reader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.formats.csv.records import Positions


def decode(text: pa.Buffer, fields: int, delimiter: str, wanted: Sequence[int], type_: pa.DataType) -> list[pa.Array]:
    """Some fields of records that stand back to back.

    Args:
        text: The records, each with a line end, but perhaps the last.
        fields: Fields of a record.
        delimiter: What stands between fields.
        wanted: The places of the fields to decode, each once; at least one.
        type_: `string` or `binary`; the latter is not checked to be UTF-8.

    Returns:
        One array per field; an empty field is NULL, but not an empty quoted one.

    Raises:
        pyarrow.ArrowInvalid: A record has another number of fields, or is not UTF-8.
    """
    from pyarrow import csv

    names = [str(place) for place in range(fields)]
    chosen = [str(place) for place in wanted]
    table = csv.read_csv(
        pa.BufferReader(text),
        csv.ReadOptions(use_threads=False, block_size=text.size + 1, column_names=names),
        csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False),
        csv.ConvertOptions(
            include_columns=chosen,
            column_types=dict.fromkeys(chosen, type_),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return [one_array(column) for column in table.columns]


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def joined(data: bytes, starts: Positions, stops: Positions) -> pa.Buffer:
    """Ranges of some bytes back to back: the bytes themselves where nothing lies between them."""
    if bool((starts[1:] == stops[:-1]).all()):
        return pa.py_buffer(data).slice(int(starts[0]), int(stops[-1] - starts[0]))
    edges = np.empty(2 * len(starts), np.int64)
    edges[0::2] = starts
    edges[1::2] = stops
    pieces = pa.Array.from_buffers(pa.large_binary(), len(edges) - 1, [None, pa.py_buffer(edges), pa.py_buffer(data)])
    return pieces.take(from_numpy(np.arange(0, len(edges), 2))).buffers()[2]
