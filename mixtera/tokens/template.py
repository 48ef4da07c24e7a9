"""Content columns → one column of texts, by a template (`mixtera.spec.template`)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from mixtera.spec.template import parts_of


def joined(content: pa.RecordBatch, template: str | None) -> pa.Array:
    """The texts of some samples; a field without a value is empty.

    Args:
        content: Content columns.
        template: How they become a text; None: there is one column, and it is the text.
    """
    if template is None:
        return content.column(0)
    pieces: list[object] = []
    for text, name in parts_of(template):
        if text:
            pieces.append(pa.scalar(text, pa.large_string()))
        if name is not None:
            pieces.append(content.column(name).cast(pa.large_string()))
    separator = pa.scalar("", pa.large_string())
    return pc.binary_join_element_wise(*pieces, separator, null_handling="replace", null_replacement="")
