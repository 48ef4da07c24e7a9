"""Indexed datasets of Megatron-LM: `X.bin` holds the tokens, `X.idx` beside it says where documents end.

- `path` names the `.bin` files; the `.idx` of each is found beside it. `preprocess_data.py` of Megatron-LM, NeMo,
  GPT-NeoX and others write them. Integer types only: uint8, int8, uint16, int16, int32, int64.
- A document is a sample: its sequences (such as sentences) one after the other, as Megatron's `get` delivers them for a
  document. `format: {name: megatron, rows: sequences}` makes each sequence a sample.
- Its content is `tokens`, delivered as a list of int32. Properties: `tokens` (how many), `sequences` (how many), and
  `mode` of multimodal datasets (NULL where the sequences of a document differ in it).
- A document without tokens is a sample without tokens.
- Indexing reads the `.idx` only. Training reads its head, so it stays beside the `.bin`. It is part of the `.bin`'s
  fingerprint: when it alone is replaced, `index` reads it again, and a plan of the old one refuses the file.
- Bad samples: none; a pair of files is right as a whole, or refused.
- Refused as a whole: an `.idx` of another version, with floats, cut short, or with bytes behind its end; sequences that
  do not lie back to back; a `.bin` of another size than the index says; sequences that no document has.
"""

from mixtera.formats.megatron.format import Megatron

__all__ = ["Megatron"]
