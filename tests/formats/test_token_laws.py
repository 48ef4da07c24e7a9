"""The laws of formats of token ids, for every layout that they read."""

import csv
import gzip
import io
from typing import ClassVar

import numpy as np

from mixtera.formats.megatron import Megatron
from mixtera.formats.tokens import Tokens
from mixtera.testing.tokens import TokenLaws, joined

from .token_files import as_documents, write_megatron

SEPARATOR = 0


class TestMegatron(TokenLaws):
    format = Megatron()
    suffix = ".bin"
    kind: ClassVar = "uint16"

    def write(self, path, records):
        documents = [self.ids(record) for record in records]
        write_megatron(path, documents, as_documents(documents), self.kind)


class TestMegatronOfBytes(TestMegatron):
    kind = "uint8"


class TestMegatronOfWideTokens(TestMegatron):
    kind = "int64"


class TestMegatronOfSentences(TokenLaws):
    """Documents of several sequences, with their modes."""

    format = Megatron()
    suffix = ".bin"

    def write(self, path, records):
        sequences, ends = [], [0]
        for record in records:
            ids = self.ids(record)
            sequences += [ids[:100], ids[100:101], [], ids[101:]] if ids else []
            ends.append(len(sequences))
        write_megatron(path, sequences, ends, "int32", [0] * len(sequences))


class TestMegatronSequences(TestMegatron):
    format = Megatron().configured({"rows": "sequences"})


class TestNumpy(TokenLaws):
    """Documents by an index beside a file of numpy's own format."""

    format = Tokens().configured({"boundaries": "index"})
    suffix = ".npy"
    kind: ClassVar = "<u2"

    def write(self, path, records):
        documents = [self.ids(record) for record in records]
        np.save(path, np.frombuffer(joined(documents, self.kind), self.kind))
        ends = np.cumsum([len(document) for document in documents], dtype="<i8")
        path.with_name(f"{path.name}.index").write_bytes(ends.tobytes())


class TestBigEndianNumpy(TestNumpy):
    kind = ">i4"


class TestDatatrove(TokenLaws):
    """`.ds` with `.ds.index`, whose type is told by the number of tokens."""

    format = Tokens()
    suffix = ".ds"
    kind: ClassVar = "<u2"

    def write(self, path, records):
        documents = [self.ids(record) for record in records]
        path.write_bytes(joined(documents, self.kind))
        ends = np.cumsum([len(document) for document in documents], dtype="<u8")
        path.with_name(f"{path.name}.index").write_bytes(ends.tobytes())


class TestDatatroveOfWideTokens(TestDatatrove):
    kind = "<u4"


class TestOlmo(TokenLaws):
    """Raw tokens in `.npy`, and a table of documents as Dolma writes it."""

    format = Tokens().configured({"dtype": "uint32", "boundaries": "csv"})
    suffix = ".npy"

    def write(self, path, records):
        documents = [self.ids(record) for record in records]
        path.write_bytes(joined(documents, "<u4"))
        lines, start = io.StringIO(), 0
        for number, document in enumerate(documents):
            stop = start + len(document)
            csv.writer(lines).writerow([start, stop, f'id "{number}",\nx', "s3://a/b.jsonl.gz", number])
            start = stop
        path.with_suffix(".csv.gz").write_bytes(gzip.compress(lines.getvalue().encode()))


class TestSeparated(TokenLaws):
    """Raw tokens as nanoGPT writes them; documents end with an id."""

    format = Tokens().configured({"dtype": "uint16", "separator": str(SEPARATOR)})
    suffix = ".npy"

    def ids(self, record):
        return [*super().ids(record), SEPARATOR]

    def write(self, path, records):
        path.write_bytes(joined([self.ids(record) for record in records], "<u2"))


class TestSeparatedBytes(TestSeparated):
    format = Tokens().configured({"dtype": "uint8", "separator": str(SEPARATOR)})
    gaps: ClassVar = TokenLaws.gaps | {"test_a_file_cut_short_is_noticed": "fewer bytes are fewer tokens"}

    def write(self, path, records):
        path.write_bytes(joined([self.ids(record) for record in records], "<u1"))


class TestOfOneLength(TokenLaws):
    format = Tokens().configured({"length": "64"})
    suffix = ".u32"

    def ids(self, record):
        return (super().ids(record) * 64 + [7] * 64)[:64]

    def write(self, path, records):
        path.write_bytes(joined([self.ids(record) for record in records], "<u4"))


class TestWholeFile(TokenLaws):
    """Nothing says where documents end: the file is one."""

    format = Tokens()
    suffix = ".npy"
    rows = 1
    gaps: ClassVar = TokenLaws.gaps

    def write(self, path, records):
        np.save(path, np.array([token for record in records for token in self.ids(record)], np.uint16))
