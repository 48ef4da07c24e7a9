"""Flat files of token ids: numpy arrays (`.npy`), and raw integers as a memory map reads them.

- Raw files have no head: nanoGPT's `.bin`, datatrove's `.ds`, the `.npy` of OLMo and Dolma. Their type is said:
  `format: {name: tokens, dtype: uint16}` (uint8, int8, uint16, int16, uint32, int32, uint64, int64; little-endian).
  `.u16` and `.u32` say it themselves; `.ds` does by its index.
- The head that llm.c writes (and modded-nanogpt) is known by its magic number, and says the type.
- A file of numpy's own format says its type, in either byte order; it holds one array of one dimension. Objects
  (pickles) are never loaded.
- Where documents end is said by one of these options, else a file is one document (a file without tokens has none):
  `separator: ID` (each document ends with this id, which stays in it), `start: ID` (each begins with it), `length: N`
  (each has N tokens, the last of a file the rest), `boundaries: index` (`X.ds.index` beside `X.ds`, any name: where
  documents end, counted in tokens, as little-endian 64-bit integers; the default for `.ds`), `boundaries: csv` (OLMo's
  `X.csv.gz` beside `X.npy`: a line `start,end,…` for each document), `boundaries: none`.
- Its content is `tokens`, delivered as a list of int32. Property: `tokens` (how many).
- Indexing reads what says where documents end; all of the file for `separator` and `start`. An index or
  a table beside a file is part of its fingerprint: when it alone is replaced, `index` reads it again, and a plan of the
  old one refuses the file.
- Bad samples: none; a file is right as a whole, or refused.
- Refused as a whole: an array of two dimensions, of floats or of objects; a file that is no whole number of tokens;
  ends that go back, or do not end with the file. An id that 32 bits do not hold is an error when it is read.
"""

from mixtera.formats.tokens.format import Tokens

__all__ = ["Tokens"]
