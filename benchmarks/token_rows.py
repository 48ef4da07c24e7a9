"""The rows of token streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import tokens
from benchmarks.processes import Task, run
from benchmarks.table import Row, rate_text, size_text

if TYPE_CHECKING:
    from benchmarks.run import Bench


def measure_tokens(bench: Bench) -> None:
    """Packed sequences of text and of token files, beside the tokenizer's own rate and slices of a memory map."""
    text = [str(file) for file in bench.corpus.interleaved[:2]]
    tokenizer, ready = bench.work / "tokenizer.json", bench.work / "token-files"
    run(Task("tokens.train_tokenizer", {"files": text, "path": str(tokenizer)}))
    run(Task("tokens.write_tokens", {"directory": str(ready), "tokens": tokens.READY_TOKENS}))
    tokens.write_specs(bench.work, bench.corpus.interleaved[:2], ready, tokenizer)
    bench.prepare("tokens-text", "tokens-ready")
    plan = bench.plan("tokens-text")
    encoding = Task("tokens.encode_batches", {"files": text, "tokenizer": str(tokenizer)})
    pairs = (
        ("packed sequences from text, Hugging Face BPE", "tokens-text", encoding, "encode_batch", 0.85),
        (
            "packed sequences from token files",
            "tokens-ready",
            Task("tokens.memory_map", {"plan": bench.plan("tokens-ready")}),
            "np.memmap slices",
            0.5,
        ),
    )
    for figure, name, reference, named, asked in pairs:
        best, bare = bench.take_turns(Task("tokens.stream_tokens", {"plan": bench.plan(name)}), reference)
        found, bare_found = best["tokens"] / best["seconds"], bare["tokens"] / bare["seconds"]
        ratio = found / bare_found
        shown = (f"{rate_text(value)} tokens" for value in (found, bare_found))
        bench.rows.append(Row(figure, next(shown), f"{next(shown)} {named}", ratio, f"≥ {asked:.2f} ×", ratio >= asked))
        bench.rows.append(Row("… its peak memory", size_text(best["peak_bytes"]), "", None, "", None))
    firsts = [Task("tokens.first_rows", {"plan": plan, "position": place}) for place in (0.0, 0.5, 0.9)]
    *found, bare = bench.take_turns(
        *firsts, Task("tokens.first_encoding", {"files": text, "tokenizer": str(tokenizer)})
    )
    over = max(first["seconds"] for first in found) - bare["seconds"]
    reference = f"{bare['seconds'] * 1000:.0f} ms to open the tokenizer and encode"
    figure = "first rows at the worst of 3 positions, over their tokenization"
    bench.absolute(figure, over, f"{over * 1000:.0f} ms", 0.1, "≤ 100 ms", reference)
