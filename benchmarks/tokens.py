"""Figures of token streams beside their references: the tokenizer's own batches, and slices of a memory map.

Each function runs in a process of its own and returns numbers, like those of `benchmarks.figures`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import orjson
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import mixtera
from benchmarks.figures import peak_rss_bytes

SEQUENCE = 2048
BATCH = 8
VOCABULARY = 8192
DOCUMENT_TOKENS = 700
READY_TOKENS = 20_000_000
SEPARATOR = 0
ENCODED_TEXTS = 1000
"""Texts that the tokenizer gets at once: as many as keep all its threads busy."""


def train_tokenizer(files: list[str], path: str, texts: int = 5000) -> dict[str, float]:
    """A byte-level BPE of the corpus's own words, as `tokenizer.json`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,  # it would print to stdout
    )
    tokenizer.train_from_iterator(_texts(files)[:texts], trainer)
    tokenizer.save(path)
    return {}


def write_tokens(directory: str, tokens: int) -> dict[str, float]:
    """Flat files of random tokens, with documents of random lengths."""
    random = np.random.default_rng(1)
    Path(directory).mkdir(exist_ok=True)
    for number in range(2):
        values = random.integers(1, 50_000, tokens // 2).astype(np.uint16)
        values[random.random(len(values)) < 1 / DOCUMENT_TOKENS] = SEPARATOR
        values[-1] = SEPARATOR
        values.tofile(Path(directory) / f"part-{number}.u16")
    return {}


def encode_batches(files: list[str], tokenizer: str) -> dict[str, float]:
    """The tokenizer's own `encode_batch_fast` over the same texts, which are in memory."""
    texts, encoder = _texts(files), Tokenizer.from_file(tokenizer)
    begin = time.perf_counter()
    tokens = 0
    for first in range(0, len(texts), ENCODED_TEXTS):
        batch = encoder.encode_batch_fast(texts[first : first + ENCODED_TEXTS], add_special_tokens=False)
        tokens += sum(map(len, batch))
    return {"seconds": time.perf_counter() - begin, "tokens": tokens}


def stream_tokens(plan: str) -> dict[str, float]:
    """Packed sequences of a plan, from raw text; opening and the first batch are inside the clock."""
    opened = mixtera.Plan.open(plan)
    begin = time.perf_counter()
    rows = sum(batch.num_rows for batch in opened.stream(batch_size=BATCH))
    return {"seconds": time.perf_counter() - begin, "tokens": rows * SEQUENCE, "peak_bytes": peak_rss_bytes()}


def first_rows(plan: str, position: float) -> dict[str, float]:
    """A stream's first batch at a place of the plan, from 0 to 1, the plan being open; the tokenizer too is opened."""
    opened = mixtera.Plan.open(plan)
    begin = time.perf_counter()
    stream = opened.stream(batch_size=BATCH, start=int(len(opened) * position))
    next(stream)
    elapsed = time.perf_counter() - begin  # before it is closed: that waits for what is read ahead
    stream.close()
    return {"seconds": elapsed}


def first_encoding(files: list[str], tokenizer: str) -> dict[str, float]:
    """What a first batch takes of the tokenizer alone: opening it, and the texts of one granule of sequences."""
    texts = _texts(files)[: 32 * SEQUENCE // 150]
    begin = time.perf_counter()
    Tokenizer.from_file(tokenizer).encode_batch_fast(texts, add_special_tokens=False)
    return {"seconds": time.perf_counter() - begin}


def memory_map(plan: str) -> dict[str, float]:
    """Slices of `np.memmap`, in random order: the sequences of a plan, each as one array."""
    opened = mixtera.Plan.open(plan)
    urls = opened.data.files.column("url").to_pylist()
    maps = [np.memmap(url.removeprefix("file://"), np.uint16, "r") for url in urls]
    found = opened.sequences.range(0, len(opened))
    edges = np.searchsorted(found.sequence, np.arange(len(opened) + 1)).tolist()
    file, start = found.documents.file.tolist(), found.documents.start // 2
    first, last = (start + found.first).tolist(), (start + found.last).tolist()
    begin = time.perf_counter()
    for row in range(len(opened)):
        pieces = range(edges[row], edges[row + 1])
        np.concatenate([maps[file[piece]][first[piece] : last[piece]] for piece in pieces], dtype=np.int32)
    return {"seconds": time.perf_counter() - begin, "tokens": len(opened) * SEQUENCE}


def _texts(files: list[str]) -> list[str]:
    return [orjson.loads(line)["text"] for file in files for line in Path(file).read_bytes().splitlines()]


def write_specs(work: Path, text: list[Path], tokens: Path, tokenizer: Path) -> None:
    """The specs of both: all documents once."""
    shared = {"version": 1, "mixture": {"by": "domain"}, "order": {"chunk_size": 512, "lanes": 2}}
    packed = {"tokenizer": str(tokenizer), "sequence_length": SEQUENCE}
    source = {"path": [str(file) for file in text], "content": "text", "properties": {"domain": "meta.domain"}}
    spec = {**shared, "name": "tokens-text", "sources": {"text": source}, "tokens": packed}
    (work / "tokens-text.yaml").write_text(json.dumps(spec))
    format_ = {"name": "tokens", "separator": SEPARATOR}
    ready = {"path": str(tokens / "*.u16"), "format": format_, "content": "tokens"}
    spec = {**shared, "name": "tokens-ready", "mixture": {"by": "dataset"}, "sources": {"ready": ready}}
    spec["tokens"] = {"tokenizer": "bytes", "sequence_length": SEQUENCE}
    (work / "tokens-ready.yaml").write_text(json.dumps(spec))
