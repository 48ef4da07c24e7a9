"""Keys of `tokens`: how samples become sequences of tokens."""

from __future__ import annotations

from typing import Final

from mixtera.spec.section import TEXT, JsonSchema, Key, Section

PACKINGS: Final = ("concat", "best_fit", "none")
ENCODERS: Final = ("tokenizers", "fastokens")
LARGEST: Final = 2**31 - 1
COUNT: Final[JsonSchema] = {"type": "integer", "minimum": 1, "maximum": LARGEST}
SPECIAL: Final[JsonSchema] = {
    "anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": LARGEST}, TEXT]
}

TOKENS: Final = Section(
    "tokens",
    (
        Key(
            "tokenizer",
            TEXT,
            "A file, a directory, a hub name, `tiktoken:NAME`, or `bytes` (UTF-8 bytes; eos = 256, bos = 257).",
            required=True,
        ),
        Key(
            "encoder",
            {"enum": list(ENCODERS)},
            "What encodes with a tokenizer.json: tokenizers, the library of Hugging Face, or fastokens, which gives "
            "the same ids many times as fast. Default: tokenizers.",
        ),
        Key("sequence_length", COUNT, "Tokens of a sequence (T).", required=True),
        Key(
            "packing",
            {"enum": list(PACKINGS)},
            "concat: each component's documents, one after the other, cut into sequences. best_fit: whole documents, "
            "as many as fit, padded. none: a document a row, cut or padded. Default: concat.",
        ),
        Key("bos", SPECIAL, "Whether a token stands before each document, or which: its id or text. Default: false."),
        Key("eos", SPECIAL, "Whether a token stands after each document, or which: its id or text. Default: true."),
        Key(
            "label_shift",
            {"type": "boolean"},
            "Deliver sequence_length + 1 tokens: inputs and labels are the same tokens, shifted. Default: true.",
        ),
        Key(
            "overlap",
            {"type": "integer", "minimum": 0, "maximum": LARGEST},
            "With concat: tokens that a sequence shares with the one before it. Default: 1 with label_shift (so that "
            "each token is predicted once), else 0.",
        ),
        Key("max_document_tokens", COUNT, "Longer documents are cut there. Default: none is."),
        Key(
            "template",
            TEXT,
            'How content columns become the text, such as "{title}\\n\\n{text}"; also for what stands before and '
            "after. Default: the one content column as it is.",
        ),
    ),
)
