"""Labels of earlier compilations, kept beside the catalog, so that an engine is asked about new samples only.

A Parquet file of the catalog never changes, and what a question says of its samples never does. So the labels of a
file are kept under the question's own words, and found again by whatever spec asks the same: the one of yesterday over
a catalog that grew, or one with other weights. What is kept is help and no more: what is missing, damaged, or cannot
be written is asked again.

The labels of a Parquet file lie in `labels/<source>/<run>/<file>.<key>` of the catalog, compressed: one number for each
row of the data files that it describes, in the order of their names.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import zstandard

from mixtera.catalog.columns import ROW_GROUP_ROWS
from mixtera.catalog.names import LABELS
from mixtera.compiler.build import SourcePlan
from mixtera.compiler.files import FileIndex, Int64s
from mixtera.compiler.questions import Question
from mixtera.compiler.scratch import scratch
from mixtera.mapped import forget

if TYPE_CHECKING:
    import pyarrow as pa

Told: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]

FIRST_LABEL: Final = 2
"""What label 0 is kept as; one less is `NO_LABEL`, and 0 is no sample."""
_VERSION: Final = 1
_QUESTIONS: Final = 4
"""Questions whose labels are kept for a Parquet file: those that were asked last."""
_END: Final = struct.Struct("<QI")
"""What stands behind the compressed labels: their bytes, and the checksum of what they decompress to."""


@dataclass(frozen=True)
class Part:
    """A Parquet file of the catalog.

    Attributes:
        path: Where it lies.
        place: Where its labels are kept: a path without the key.
        files: Numbers of the data files whose samples it has, ascending.
    """

    path: Path
    place: Path
    files: Int64s


class Memory:
    """The labels of all rows, as far as they are known: those that are kept, and those that an engine gives.

    Attributes:
        told: [rows] labels, as they are kept.
    """

    def __init__(self, catalog: Path, index: FileIndex, asked: Sequence[Question], plans: Sequence[SourcePlan]) -> None:
        """Prepare.

        Args:
            catalog: Directory of the catalog.
            index: The files of all sources.
            asked: Everything that will be asked.
            plans: Plans of the sources.
        """
        self._catalog, self._index, self._plans = catalog, index, plans
        most = max((len(labels) for question in asked for labels in question.labels), default=0)
        self.told: Told = scratch(index.total_rows, np.uint8 if most + FIRST_LABEL <= 1 << 8 else np.uint16)

    def recall(self, question: Question) -> tuple[list[Part], list[Part]]:
        """Take in what is kept of the answer to a question.

        Returns:
            Parquet files whose labels are known, and those that the engine must be asked about.
        """
        known: list[Part] = []
        unknown: list[Part] = []
        for part in self._parts(question):
            (known if self._read(part, question) else unknown).append(part)
            forget(self.told)
        return known, unknown

    def batches(self, parts: Sequence[Part], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Columns of some Parquet files, as they lie there."""
        for part in parts:
            with pq.ParquetFile(part.path) as file:
                yield from file.iter_batches(ROW_GROUP_ROWS, columns=list(columns), use_threads=False)

    def keep(self, question: Question, parts: Sequence[Part]) -> None:
        """Keep what the engine has told of some Parquet files; what cannot be written is not kept."""
        with suppress(OSError):  # a catalog that is only read, or a full disk: the engine is asked again
            for part in parts:
                part.place.parent.mkdir(parents=True, exist_ok=True)
                self._write(part, self._path(part, question))
                forget(self.told)
                _forget_oldest(part)

    def _parts(self, question: Question) -> Iterator[Part]:
        for number in question.sources:
            indexed = self._plans[number].indexed
            names = indexed.files.sort_by("name").column("data_file").to_pylist()
            first, files = int(self._index.source_files[number]), dict[str, list[int]]()
            for place, name in enumerate(names):
                files.setdefault(name, []).append(first + place)
            files.pop("", None)  # files without samples
            for name, path in zip(sorted(files), map(Path, indexed.data_files), strict=True):
                space = path.parent.parent.parent.name
                place_ = self._catalog / LABELS / space / name
                yield Part(path, place_, np.array(files[name], np.int64))

    def _path(self, part: Part, question: Question) -> Path:
        """Where the labels of a Parquet file under a question are kept: all that they depend on is in the name."""
        key = hashlib.blake2b(f"{_VERSION} {self.told.dtype.str} {question.text}".encode(), digest_size=16)
        key.update(f" {part.path.stat().st_size}".encode())
        for column in (self._index.file_id, self._index.rows):
            key.update(column[part.files].astype("<i8").tobytes())
        return part.place.with_name(f"{part.place.name}.{key.hexdigest()}")

    def _slices(self, part: Part) -> Iterator[Told]:
        first = self._index.first
        heads, tails = first[part.files], first[part.files + 1]
        for low, high in zip(heads.tolist(), tails.tolist(), strict=True):
            yield self.told[low:high]

    def _read(self, part: Part, question: Question) -> bool:
        try:
            path = self._path(part, question)
            with path.open("rb") as file:
                if self._filled(part, file):
                    with suppress(OSError):  # who may only read cannot say that it was used
                        path.touch()
                    return True
        except FileNotFoundError:
            return False
        except (OSError, zstandard.ZstdError):
            pass  # damaged, or not to be read: asked again
        for values in self._slices(part):
            values[:] = 0
        return False

    def _filled(self, part: Part, file: BinaryIO) -> bool:
        """Whether a file has all labels of a part, and nothing else; they are told then."""
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END.size))
        end = file.read(_END.size)
        if len(end) < _END.size or _END.unpack(end)[0] != size - _END.size:
            return False
        file.seek(0)
        checksum = 0
        with zstandard.ZstdDecompressor().stream_reader(file, closefd=False) as reader:
            for values in self._slices(part):
                if len(values) and reader.readinto(values.view(np.uint8).data) < values.nbytes:
                    return False
                checksum = zlib.crc32(values.data, checksum)
        return bool(checksum == _END.unpack(end)[1])

    def _write(self, part: Part, path: Path) -> None:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".partial", delete=False) as file:
            fresh = Path(file.name)
            try:
                checksum = 0
                with zstandard.ZstdCompressor(1).stream_writer(file, closefd=False) as writer:
                    for values in self._slices(part):
                        writer.write(values.data)
                        checksum = zlib.crc32(values.data, checksum)
                file.write(_END.pack(file.tell(), checksum))
                file.flush()
                fresh.chmod(0o644)
                fresh.replace(path)
            finally:
                fresh.unlink(missing_ok=True)


def _forget_oldest(part: Part) -> None:
    """Delete the labels of questions that were not asked for long."""
    kept = [path for path in part.place.parent.glob(f"{part.place.name}.*") if not path.name.startswith(".")]
    newest = sorted(kept, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in newest[_QUESTIONS:]:
        path.unlink(missing_ok=True)


def remembers(catalog: Path, plans: Sequence[SourcePlan]) -> bool:
    """Whether labels can be kept: whether the catalog says which of its files has which samples."""
    return (catalog / "warehouse").is_dir() and all("data_file" in plan.indexed.files.column_names for plan in plans)
