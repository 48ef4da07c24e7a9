"""Plans of tokens over sources made by hand, and what is in them, written out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from mixtera.artifact.model import PlanData
from mixtera.compiler import compile
from mixtera.compiler.stop import Stop
from mixtera.plan import Plan
from mixtera.testing.catalog import MadeCatalog, MadeFile, MadeSource
from mixtera.testing.reference import Value
from mixtera.tokens.columns import count_column
from mixtera.tokens.parameters import token_parameters
from tests.compiler.made import spec_of

ROWS = 400
EMPTY = "of documents without tokens"
TOKENS = "tokens: {tokenizer: bytes, sequence_length: 24, label_shift: false}\n"
SHIFTED = "tokens: {tokenizer: bytes, sequence_length: 24, bos: true, max_document_tokens: 90}\n"
FIRST = """
mixture:
  components:
    - {name: english, where: 'dataset == "web" and language == "en"', weight: 5}
    - {name: other, where: {dataset: web}, weight: 3}
    - {name: books, weight: 2}
  on_exhaust: redistribute
order: {seed: 3, chunk_size: 64, lanes: 3, granule: 8}
"""
SECOND = """
filter: year >= 2005
mixture:
  components:
    - {name: recent, where: year >= 2015, weight: 4}
    - {name: english, where: 'language == "en"', weight: 5}
    - {name: books, where: {dataset: books}, weight: 1}
    - {name: more, weight: 1}
  on_exhaust: redistribute
order: {seed: 3, chunk_size: 32, lanes: 2, granule: 4}
"""
Piece = tuple[int, int, int]
"""Sample, and the first and last of its tokens that a sequence has."""
Row = tuple[Piece, ...]


def texts(row: int) -> int:
    """Tokens of a document without what stands around it: some have none, a few are long."""
    return 0 if row % 13 == 5 else 130 if row % 37 == 0 else row * 7919 % 41


def source(name: str, first_id: int, files: int, rows: int = ROWS) -> MadeSource:
    def sample(n: int) -> dict[str, Value]:
        return {"language": ("en", "de", "fr")[n % 3], "year": 2000 + n % 20, "score": n * 7919 % 997 / 997}

    parts = [range(part * rows, (part + 1) * rows) for part in range(files)]
    return MadeSource(
        name,
        {"language": "string", "year": "int64", "score": "float64"},
        [MadeFile(f"part-{n}.jsonl", first_id + n, [sample(row) for row in part]) for n, part in enumerate(parts)],
    )


WEB, BOOKS = source("web", 10, 3), source("books", 50, 2)
GROWN = source("web", 10, 4)


def made(
    tmp_path: Path,
    text: str,
    sources: Sequence[MadeSource] = (WEB, BOOKS),
    stop: Stop | None = None,
    tokens: str = TOKENS,
) -> Plan:
    directory = tmp_path / f"catalog-{len(list(tmp_path.iterdir()))}"
    directory.mkdir()
    spec = spec_of(tmp_path, tokens + text, sources)
    counted = list(sources)
    if spec.tokens is not None:
        column = count_column(spec.sources[0], token_parameters(spec.tokens))
        counted = [_counted(one, column) for one in sources]
    return compile(spec, MadeCatalog(directory, counted), continue_from=stop)


def _counted(one: MadeSource, column: str) -> MadeSource:
    files, row = [], 0
    for file in one.files:
        counts = [0 if sample == {"language": EMPTY} else texts(row + n) for n, sample in enumerate(file.samples)]
        samples = [{**(sample or {}), column: count} for sample, count in zip(file.samples, counts, strict=True)]
        files.append(replace(file, samples=samples))
        row += len(samples)
    return replace(one, types={**one.types, column: "int64"}, files=files)


def rows_of(plan: Plan, start: int | None = None, stop: int | None = None, component: str | None = None) -> list[Row]:
    """What each position holds, of one component or of all."""
    first, last = plan.start if start is None else start, plan.end if stop is None else stop
    assert last is not None
    return [
        tuple((one["sample"], one["first_token"], one["last_token"]) for one in held)
        for held in positions_of(plan, first, last)
        if component in (None, held[0]["component"])
    ]


def positions_of(plan: Plan, first: int, last: int) -> list[list[dict[str, object]]]:
    """The parts of documents at each position, as `samples` tells them."""
    parts = plan.samples(first, last).to_pylist()
    found = [list(held) for _, held in groupby(parts, key=lambda part: part["position"])]
    assert [held[0]["position"] for held in found] == list(range(first, last))
    return found


def documents(rows: Sequence[Row]) -> set[int]:
    return {sample for row in rows for sample, _, _ in row}


def tokens_of(rows: Sequence[Row]) -> Counter[tuple[int, int]]:
    return Counter((sample, token) for row in rows for sample, first, last in row for token in range(first, last))


def counts_of(plan: Plan, component: str | None = None) -> dict[int, int]:
    """Sample → its tokens, of what a component delivers."""
    return {sample: count for name, sample, count in counted_samples(plan.data) if component in (None, name)}


def counted_samples(data: PlanData) -> Iterator[tuple[str, int, int]]:
    assert data.tokens is not None
    files, segments, entries = (table.to_pylist() for table in (data.files, data.segments, data.entries))
    taken = 0
    for number, component in enumerate(data.components):
        for entry in entries[data.component_entries[number] : data.component_entries[number + 1]]:
            segment = segments[entry["segment"]]
            file = files[segment["file"]]["file_id"]
            for row in data.rows[taken : taken + entry["count"]].tolist():
                yield component.name, file << 31 | segment["row"] + row, int(data.tokens.counts[taken])
                taken += 1


def fates(plan: Plan) -> dict[str, str]:
    return {one["name"]: one["fate"] for one in plan.data.facts["continues"]["components"]}
