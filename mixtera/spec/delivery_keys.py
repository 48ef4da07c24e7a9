"""Keys of `stream`, and of what a component delivers."""

from __future__ import annotations

from typing import Final

from mixtera.spec.section import TEXTS, Key, Section

LARGEST_GROUP: Final = 2**31 - 1

DELIVER: Final = Key(
    "deliver",
    TEXTS,
    "With `tokens:`: content columns that its samples are delivered with, instead of tokens, such as [image, caption].",
)
STREAM: Final = Section(
    "stream",
    (
        Key(
            "group",
            {"type": "integer", "minimum": 1, "maximum": LARGEST_GROUP},
            "Where components deliver different things: positions in a row that deliver the same. Batches whose size "
            "divides it never mix. Best the batch of a step over all ranks. Default: the granule.",
            required=True,
        ),
    ),
)
