"""Rows of tokens as a trainer wants them: which document a token belongs to, where it stands in it, what is padding."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import to_numpy
from mixtera.stream.columns import SEQUENCE_LENGTH

PADDING: Final = -1
"""The document that padding belongs to."""


def row_columns(batch: pa.RecordBatch) -> dict[str, npt.NDArray[np.generic]]:
    """What goes with the tokens of a batch; empty for a batch of samples.

    Args:
        batch: A batch of a stream.

    Returns:
        `document_ids` [n, T] int32: the document of each input token, counted from 0 in each row, −1 for padding;
        `position_ids` [n, T] int32: its place in the part of the document that stands in the row, from 0;
        `loss_mask` [n, T] bool: whether the token after it is of the same document, so that predicting it is fair; and
        where rows are padded `attention_mask` [n, T] bool: false for padding.
    """
    metadata = batch.schema.field("tokens").metadata if "document_starts" in batch.schema.names else None
    if not metadata or SEQUENCE_LENGTH not in metadata:
        return {}
    width, rows = int(metadata[SEQUENCE_LENGTH]), batch.num_rows
    whole = batch.schema.field("tokens").type.list_size  # one more than `width` where the last is only a label
    starts, edges = _lists(batch.column("document_starts"))
    row = np.repeat(np.arange(rows), np.diff(edges))
    begins = row * whole + starts
    sizes = np.diff(np.append(begins, rows * whole))
    number = np.arange(len(starts)) - edges[row]
    document = np.repeat(number, sizes).reshape(rows, whole).astype(np.int32)
    position = (np.arange(rows * whole) - np.repeat(begins, sizes)).reshape(rows, whole)[:, :width].astype(np.int32)
    found: dict[str, npt.NDArray[np.generic]] = {}
    if "length" in batch.schema.names:
        present = np.arange(whole) < to_numpy(batch.column("length")).astype(np.int64)[:, None]
        document[~present] = PADDING
        position[~present[:, :width]] = 0
        found["attention_mask"] = present[:, :width].copy()
    fair = np.zeros((rows, width), np.bool_)
    fair[:, : whole - 1] = (document[:, :-1] == document[:, 1:]) & (document[:, :-1] != PADDING)
    return {"document_ids": document[:, :width].copy(), "position_ids": position, "loss_mask": fair, **found}


def _lists(column: pa.ListArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Values of lists, one after the other, and where each list begins among them."""
    offsets = np.frombuffer(column.buffers()[1], np.int32, len(column) + 1, 4 * column.offset).astype(np.int64)
    values = to_numpy(column.values)[int(offsets[0]) : int(offsets[-1])].astype(np.int64)
    return values, offsets - offsets[0]
