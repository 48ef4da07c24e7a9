"""Tokenizers that are trained here, on the texts of this repository: small, real, and the same on every machine."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

ROOT = Path(__file__).parents[2]
END = "<|endoftext|>"
SAMPLES = [
    "Grüße aus Zürich, naïve café: 3 × 4 = 12 – “so”.",
    "日本語のテキストと한국어, русский текст; العربية",
    "👩‍👩‍👧 e\u0301 \u200d\ufeff \x00\x1f tabs\t\tand\r\nlines\n\n\n   and spaces   ",
    "def f(x):\n    return {'a': [1, 22, 333, 4444], **x}  # it's, we'll, I'd\n",
    "",
    " ",
]


@pytest.fixture(scope="session")
def corpus() -> list[str]:
    """Documents: this repository's pages without the text of a special token, and the samples above."""
    pages = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
    return [page.read_text(encoding="utf-8").replace(END, "") for page in pages] + SAMPLES


@pytest.fixture(scope="session")
def trained(corpus: list[str]) -> Tokenizer:
    """A byte-level BPE of 2,000 tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=2000, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


@pytest.fixture(scope="session")
def directory(trained: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`small.json`; `model/` with settings beside it; `r50k_base.tiktoken` with the same tokens, one id lower."""
    root = tmp_path_factory.mktemp("tokenizers")
    trained.save(str(root / "small.json"))
    (root / "model").mkdir()
    trained.save(str(root / "model" / "tokenizer.json"))
    (root / "model" / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": END}, "bos_token": "A"}))
    (root / "r50k_base.tiktoken").write_bytes(ranks(trained))
    return root


def ranks(tokenizer: Tokenizer) -> bytes:
    """A trained tokenizer as tiktoken writes it: `<|endoftext|>`, which is id 0, has no rank."""
    letters = {letter: value for value, letter in enumerate(_letters())}
    by_id = sorted((number, text) for text, number in tokenizer.get_vocab().items() if text != END)
    tokens = [bytes(letters[letter] for letter in text) for _, text in by_id]
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))


def _letters() -> list[str]:
    """How byte-level tokenizers write the bytes 0 to 255."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    return [chr(value) if value in shown else chr(next(hidden)) for value in range(256)]
