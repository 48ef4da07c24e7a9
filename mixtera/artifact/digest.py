"""The digest of a plan: sha256 over canonical bytes of everything that decides which sample stands where.

Little-endian throughout; every field is preceded by its length, so that no two plans share their bytes. Left out on
purpose: URLs, byte offsets, sizes and times of files, the engine, the facts and the names of spec and machine.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mixtera.artifact.model import Beginning, PlanComponent, PlanData, PlanSource, Steering, TokenLayout
from mixtera.mapped import Column, steps
from mixtera.order.leftout import LeftOut
from mixtera.order.permute import Variation
from mixtera.order.places import Start
from mixtera.order.timeline import Timeline

if TYPE_CHECKING:
    from hashlib import _Hash


class _Canonical:
    """Feeds values to a hash, each with its length."""

    def __init__(self, hasher: _Hash) -> None:
        self._hash = hasher

    def raw(self, value: bytes) -> None:
        self._hash.update(struct.pack("<q", len(value)))
        self._hash.update(value)

    def texts(self, values: Iterable[str]) -> None:
        encoded = [value.encode() for value in values]
        self.integers([len(encoded), *map(len, encoded)])
        self._hash.update(b"".join(encoded))

    def integers(self, values: Iterable[int]) -> None:
        found = list(values)
        self.raw(struct.pack(f"<{len(found)}q", *found))

    def doubles(self, values: Iterable[float]) -> None:
        found = list(values)
        self.raw(struct.pack(f"<{len(found)}d", *found))

    def array(self, values: Column, dtype: str) -> None:
        self._hash.update(struct.pack("<q", len(values) * np.dtype(dtype).itemsize))
        for part in steps(values):
            self._hash.update(np.ascontiguousarray(part, dtype).data)

    def columns(self, table: pa.Table, names: Iterable[str]) -> None:
        for name in names:
            self.array(table.column(name).to_numpy(), "<i8")


def _optional(value: int | None) -> tuple[int, int]:
    return (0, 0) if value is None else (1, value)


def _components(out: _Canonical, components: tuple[PlanComponent, ...]) -> None:
    out.texts(component.name for component in components)
    out.doubles(component.weight for component in components)
    out.integers(number for component in components for number in _optional(component.places))
    out.texts(component.on_exhaust for component in components)


def _timeline(out: _Canonical, timeline: Timeline) -> None:
    out.integers([len(timeline.phases), *_optional(timeline.total)])
    for phase in timeline.phases:
        out.integers([phase.first, *phase.base])
        out.doubles(phase.weights)


def _sources(out: _Canonical, sources: tuple[PlanSource, ...]) -> None:
    out.texts(source.name for source in sources)
    for source in sources:
        out.texts(text for column in source.content for text in column)


def _left_out(out: _Canonical, left_out: LeftOut | None) -> None:
    out.integers([left_out is not None])
    if left_out is not None:
        out.array(left_out.bits, "u1")
        out.array(left_out.count, "<i8")


def _start(out: _Canonical, start: Start | None) -> None:
    out.integers([start is not None])
    if start is not None:
        for values in (start.first_epoch, start.cursor, start.head, start.head_sizes):
            out.array(values, "<i8")


def _variation(out: _Canonical, variation: Variation) -> None:
    """What a plain plan has nothing of: its digest is that of a release that knew no variations."""
    out.texts(["variation"])
    out.integers(sorted(variation.in_file_order))
    out.integers(variation.sequences)
    for _, sequence in sorted(variation.sequences.items()):
        out.array(sequence, "<i8")
    _left_out(out, variation.excluded)
    _left_out(out, variation.delivered)
    _start(out, variation.start)
    for keys in (variation.component_keys, variation.segment_keys, variation.group_keys):
        out.array(np.empty(0, np.int64) if keys is None else keys, "<i8")


def _begins(out: _Canonical, begins: Beginning, data: PlanData) -> None:
    out.texts(["begins", begins.plan])
    out.integers([begins.position, *(component.consumed for component in data.components)])
    out.array(data.remembered, "<i8")


def _tokens(out: _Canonical, tokens: TokenLayout) -> None:
    """What decides ids and rows; not where the tokenizer lies."""
    p = tokens.parameters
    out.texts(["tokens", p.fingerprint, p.packing, *([] if p.template is None else [p.template])])
    out.integers([p.sequence_length, p.label_shift, p.overlap, p.vocab_size])
    out.integers(number for value in (p.bos, p.eos, p.max_document_tokens) for number in _optional(value))
    out.array(tokens.counts, "<u4")
    if tokens.windows is not None:
        out.array(tokens.windows.documents, "<u4")
        out.array(tokens.windows.rows, "<u4")


def _steering(out: _Canonical, steering: Steering) -> None:
    out.texts(["steering", steering.algorithm, json.dumps(steering.options, sort_keys=True)])
    out.doubles(math.nan if bound is None else bound for bound in (steering.floor, steering.ceiling))
    out.integers([steering.every, steering.lag, *_optional(steering.limit)])


def digest(data: PlanData) -> str:
    """The digest of a plan: `sha256:` and 64 hexadecimal digits, the same on every engine and machine."""
    hasher = hashlib.sha256(b"mixtera plan\0")
    out, order = _Canonical(hasher), data.order
    out.integers([data.order_version, order.chunk_size, order.lanes, order.granule, order.window_segments])
    out.texts([str(order.seed), order.shuffle])
    _components(out, data.components)
    _timeline(out, data.timeline)
    _sources(out, data.sources)
    out.columns(data.files, ("source", "file_id", "rows"))
    out.texts(data.files.column("name").to_pylist())
    out.columns(data.segments, ("file", "row", "rows", "group"))
    out.columns(data.entries, ("segment", "count"))
    out.array(data.component_entries, "<i8")
    out.array(data.rows, "<u2")
    if not data.variation.is_plain:
        _variation(out, data.variation)
    if data.begins is not None:
        _begins(out, data.begins, data)
    if data.tokens is not None:
        _tokens(out, data.tokens)
    if data.steering is not None:
        _steering(out, data.steering)
    if data.delivery is not None:
        out.texts(["deliver", *map(repr, data.delivery.columns)])
        out.integers([data.delivery.group])
    return f"sha256:{hasher.hexdigest()}"
