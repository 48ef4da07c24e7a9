"""Seeded corpora for the benchmarks: JSONL with domains interleaved or in long runs, and Parquet of the same records.

A record is about 850 bytes: `{"text": …, "meta": {"id": …, "domain": …, "language": …, "year": …}}`. The text has line
breaks, quotes and letters outside ASCII, as real text has; 22 domains of very different sizes.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

VERSION = 5
DOMAINS = tuple(f"domain-{i:02d}" for i in range(22))
LANGUAGES = ("en", "de", "fr", "es", "zh")
FILES = 8
TEXT_BYTES = (420, 1110)  # shortest, longest; about 765 on average, which makes records of about 850 bytes
RUN_ROWS = 500  # mean length of a run in the corpus of long runs
FRAME_BYTES = {"zst": 1 << 20, "zst-whole": None}  # content of a zstd frame; None: a file is one frame
ROW_GROUP_ROWS = {"parquet": 1000, "parquet-large": 8192}  # 1,000 is what Hugging Face `datasets` writes
SYNTHETIC_FILES = 100


@dataclass(frozen=True)
class Corpus:
    """Where the generated files lie."""

    directory: Path
    rows: int

    @property
    def interleaved(self) -> list[Path]:
        """JSONL with a random domain in each record."""
        return sorted((self.directory / "interleaved").glob("*.jsonl"))

    @property
    def zst(self) -> list[Path]:
        """The files of `interleaved`, compressed in zstd frames of 1 MiB of whole lines."""
        return sorted((self.directory / "zst").glob("*.zst"))

    @property
    def zst_whole(self) -> list[Path]:
        """The same, each in one frame."""
        return sorted((self.directory / "zst-whole").glob("*.zst"))

    @property
    def runs(self) -> list[Path]:
        """JSONL with long runs of one domain."""
        return sorted((self.directory / "runs").glob("*.jsonl"))

    @property
    def parquet(self) -> list[Path]:
        """The records of `interleaved` as Parquet, in row groups of 1,000."""
        return sorted((self.directory / "parquet").glob("*.parquet"))

    @property
    def parquet_large(self) -> list[Path]:
        """The same in row groups of 8,192."""
        return sorted((self.directory / "parquet-large").glob("*.parquet"))


def domain_shares() -> npt.NDArray[np.float64]:
    """Share of each domain among the records: the largest has a quarter, the smallest less than one in a hundred."""
    sizes = 1.0 / np.arange(1, len(DOMAINS) + 1)
    return np.asarray(sizes / sizes.sum(), dtype=np.float64)


def generate(directory: Path, rows: int, seed: int = 7) -> Corpus:
    """Write the corpora of `rows` records each, unless they are there already."""
    corpus = Corpus(directory / f"records-{rows}", rows)
    stamp = json.dumps({"version": VERSION, "rows": rows, "seed": seed})
    if _read(corpus.directory / "stamp.json") == stamp:
        return corpus
    shutil.rmtree(corpus.directory, ignore_errors=True)
    random = np.random.Generator(np.random.PCG64(seed))
    pool = _text_pool(random)
    interleaved = random.choice(len(DOMAINS), rows, p=domain_shares()).astype(np.int64)
    lengths = random.geometric(1 / RUN_ROWS, rows // RUN_ROWS * 4 + 64)
    in_runs = np.repeat(random.choice(len(DOMAINS), len(lengths), p=domain_shares()), lengths)[:rows]
    _write_jsonl(corpus.directory / "interleaved", interleaved, pool, seed)
    _write_jsonl(corpus.directory / "runs", in_runs, pool, seed)
    for name, frame_bytes in FRAME_BYTES.items():
        _compress(corpus.directory / name, corpus.interleaved, frame_bytes)
    for name, group_rows in ROW_GROUP_ROWS.items():
        _write_parquet(corpus.directory / name, interleaved, pool, seed, group_rows)
    (corpus.directory / "stamp.json").write_text(stamp)
    return corpus


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _text_pool(random: np.random.Generator, words: int = 400_000) -> str:
    """A few megabytes of made-up words; every text is a slice of it."""
    letters = np.array(list("eeeeettttaaaooiinnsshhrrdlucmfwygpbvk"))
    vocabulary = ["".join(random.choice(letters, n)) for n in random.integers(2, 12, 5000)]
    vocabulary[100::200] = [word + "é" for word in vocabulary[100::200]]
    frequency = 1.0 / (np.arange(len(vocabulary)) + 10)
    chosen = random.choice(len(vocabulary), words, p=frequency / frequency.sum())
    ends = random.choice(np.array([" ", ", ", ". ", '" ', "\n"]), words, p=[0.8, 0.09, 0.06, 0.02, 0.03])
    return "".join(vocabulary[word] + end for word, end in zip(chosen.tolist(), ends.tolist(), strict=True))


def _records(
    domains: npt.NDArray[np.int64], first: int, pool: str, seed: int
) -> Iterator[tuple[str, dict[str, object]]]:
    random = np.random.Generator(np.random.PCG64([seed, first]))
    rows = len(domains)
    lengths = random.integers(*TEXT_BYTES, rows).tolist()
    starts = random.integers(0, len(pool) - TEXT_BYTES[1], rows).tolist()
    languages, years = random.integers(0, len(LANGUAGES), rows).tolist(), random.integers(1995, 2026, rows).tolist()
    for i, domain in enumerate(domains.tolist()):
        meta = {"id": first + i, "domain": DOMAINS[domain], "language": LANGUAGES[languages[i]], "year": years[i]}
        yield pool[starts[i] : starts[i] + lengths[i]], meta


def _parts(domains: npt.NDArray[np.int64]) -> Iterator[tuple[int, int, npt.NDArray[np.int64]]]:
    edges = np.linspace(0, len(domains), FILES + 1).astype(int).tolist()
    for part, (start, stop) in enumerate(itertools.pairwise(edges)):
        yield part, start, domains[start:stop]


def _write_jsonl(directory: Path, domains: npt.NDArray[np.int64], pool: str, seed: int) -> None:
    directory.mkdir(parents=True)
    encode = msgspec.json.Encoder().encode
    for part, start, of_part in _parts(domains):
        with (directory / f"part-{part:02d}.jsonl").open("wb") as out:
            out.writelines(
                encode({"text": text, "meta": meta}) + b"\n" for text, meta in _records(of_part, start, pool, seed)
            )


def _compress(directory: Path, files: list[Path], frame_bytes: int | None) -> None:
    directory.mkdir(parents=True)
    compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
    for file in files:
        data = file.read_bytes()
        with (directory / f"{file.name}.zst").open("wb") as out:
            start = 0
            while start < len(data):
                stop = data.find(b"\n", start + frame_bytes) + 1 if frame_bytes else len(data)
                out.write(compressor.compress(data[start : stop or len(data)]))
                start = stop or len(data)


def _write_parquet(directory: Path, domains: npt.NDArray[np.int64], pool: str, seed: int, group_rows: int) -> None:
    directory.mkdir(parents=True)
    for part, start, of_part in _parts(domains):
        records = list(_records(of_part, start, pool, seed))
        metas = pa.Table.from_pylist([meta for _, meta in records])
        table = metas.append_column("text", pa.array([text for text, _ in records]))
        pq.write_table(table, directory / f"part-{part:02d}.parquet", row_group_size=group_rows)


def repeated(files: list[Path], directory: Path, times: int) -> Path:
    """A directory in which each file is there several times, as a link."""
    directory.mkdir(exist_ok=True)
    for file, number in itertools.product(files, range(times)):
        link = directory / f"{file.stem}-{number}{file.suffix}"
        if not link.exists():
            link.symlink_to(file.resolve())
    return directory


def write_small_files(directory: Path, count: int) -> None:
    """Files of one record of about 850 bytes each."""
    directory.mkdir()
    for number in range(count):
        record = {"text": "word " * 160, "meta": {"domain": f"domain-{number % 22}", "year": 2000 + number % 20}}
        (directory / f"{number:05d}.jsonl").write_text(json.dumps(record) + "\n")


def generate_synthetic(directory: Path, rows: int) -> Path:
    """Files that only name a number of rows: the format of `benchmarks/plugin` makes a catalog of them, no payload."""
    target = directory / f"synthetic-{rows}"
    target.mkdir(parents=True, exist_ok=True)
    for part in range(SYNTHETIC_FILES):
        path = target / f"part-{part:03d}.synthetic"
        text = json.dumps({"rows": rows // SYNTHETIC_FILES, "seed": part})
        if _read(path) != text:
            path.write_text(text)
    return target
