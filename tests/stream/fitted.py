"""Plans whose rows are whole documents of files that are really there: records of 100 bytes, texts of up to 72."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from mixtera.artifact.model import FILES, OrderParameters, PlanData, TokenLayout, TokenParameters
from mixtera.order.exhaustion import timeline
from mixtera.order.fitting import Windows
from mixtera.tokens.tokenizers import open_tokenizer
from tests.stream.written import RECORD_BYTES, WEIGHTS
from tests.synthetic import plan_data

EOS = 256


def text_of(file: int, row: int) -> str:
    """Most are short; one in eight is longer than a row of 33 tokens; one in 20 is empty."""
    number = file * 7919 + row * 104_729
    length = 0 if number % 20 == 3 else 33 + number % 40 if number % 8 == 1 else 1 + number % 24
    return f"{file}.{row} {'abcdefghijklmnopqrstuvwxyz' * 4}"[:length]


def _line(file: int, row: int) -> str:
    bare = json.dumps({"text": text_of(file, row), "pad": ""})
    return json.dumps({"text": text_of(file, row), "pad": "x" * (RECORD_BYTES - 1 - len(bare))}) + "\n"


def parameters(length: int = 32, label_shift: bool = True) -> TokenParameters:
    """Rows of the bytes tokenizer, with eos."""
    tokenizer = open_tokenizer("bytes", Path())
    around = None, EOS, 0
    return TokenParameters(
        "bytes",
        "",
        tokenizer.fingerprint,
        tokenizer.vocab_size,
        length,
        "best_fit",
        *around,
        label_shift,
        0,
        None,
        None,
    )


def fitted_plan(
    directory: Path,
    sizes: tuple[int, ...] = (401, 300, 257),
    *,
    order: OrderParameters | None = None,
    epochs: int = 1,
    given: TokenParameters | None = None,
) -> PlanData:
    """A plan of three components over new files in a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"part-{file}.jsonl" for file in range(len(sizes))]
    for file, (path, rows) in enumerate(zip(paths, sizes, strict=True)):
        path.write_text("".join(_line(file, row) for row in range(rows)), encoding="utf-8")
    random = np.random.default_rng(1)
    labels = [random.integers(0, len(WEIGHTS), rows).astype(np.uint8) for rows in sizes]
    data = plan_data(labels, WEIGHTS, order=order, record_bytes=RECORD_BYTES)
    stats = [path.stat() for path in paths]
    columns = data.files.to_pydict() | {
        "name": [path.name for path in paths],
        "url": [str(path) for path in paths],
        "size": [stat.st_size for stat in stats],
        "modified_ns": [stat.st_mtime_ns for stat in stats],
    }
    return _laid_out(dataclasses.replace(data, files=pa.table(columns, schema=FILES)), epochs, given or parameters())


def _laid_out(data: PlanData, epochs: int, given: TokenParameters) -> PlanData:
    count = data.entries.column("count").to_numpy()
    segment = np.repeat(data.entries.column("segment").to_numpy(), count)
    file = data.segments.column("file").to_numpy()[segment].tolist()
    row = (data.segments.column("row").to_numpy()[segment] + data.rows).tolist()
    texts = [text_of(*place) for place in zip(file, row, strict=True)]
    tokens = np.array([len(text) + 1 if text else 0 for text in texts], np.uint32)
    heads = np.concatenate(([0], np.cumsum(count)))
    parts = [tokens[first:last] for first, last in pairwise(heads[data.component_entries].tolist())]
    windows = [Windows.of(part, given.row_tokens, int(given.label_shift)) for part in parts]
    rows = [int(one.rows.sum()) for one in windows]
    components = tuple(
        dataclasses.replace(component, samples=row, places=row * epochs)
        for component, row in zip(data.components, rows, strict=True)
    )
    sums = np.add.reduceat(tokens, heads[:-1]).astype(np.int64)
    layout = TokenLayout(given, tokens, sums, Windows.joined(windows))
    course = timeline(WEIGHTS, [row * epochs for row in rows], ["redistribute"] * len(rows))
    return dataclasses.replace(data, components=components, timeline=course, tokens=layout)
