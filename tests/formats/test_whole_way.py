"""Every format from files to batches through the commands: index, compile, stream, stop and go on."""

from __future__ import annotations

import gzip
import json
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import mixtera
from mixtera.cli.main import main

Writer = Callable[[Path, pa.Table], None]
ROWS = 300


def write_stream(path: Path, table: pa.Table) -> None:
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=20)


def write_file(path: Path, table: pa.Table) -> None:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=20)


def write_tabs(path: Path, table: pa.Table) -> None:
    pa.csv.write_csv(table, path, pa.csv.WriteOptions(delimiter="\t"))


def write_gzip_csv(path: Path, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(table, sink)
    path.write_bytes(gzip.compress(sink.getvalue()))


WRITERS: dict[str, Writer] = {
    ".csv": lambda path, table: pa.csv.write_csv(table, path),
    ".tsv": write_tabs,
    ".csv.gz": write_gzip_csv,
    ".arrow": write_stream,
    ".ipc": write_file,
    ".feather": lambda path, table: pa.feather.write_feather(table, path, compression="zstd", chunksize=50),
}
RECORDS = {
    "text": [f'text {i}\nof two lines, "quoted" and wörld {"x" * (i % 40)}' for i in range(ROWS)],
    "lang": [("en", "de", None)[i % 3] for i in range(ROWS)],
    "year": [None if i % 7 == 0 else 1990 + i % 30 for i in range(ROWS)],
    "seen": [i % 2 == 0 for i in range(ROWS)],
}
SPEC = """version: 1
name: whole
sources:
  data: {{path: "data/*{suffix}", content: text, properties: {{lang: lang, year: year, seen: seen}}}}
mixture:
  components:
    - {{name: old, where: year < 2005 and seen, weight: 40, on_exhaust: repeat, max_epochs: 3}}
    - {{name: english, where: lang == "en" and year >= 2005, weight: 60}}
order: {{seed: 3, chunk_size: 64, lanes: 4, granule: 8}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIXTERA_CATALOG", raising=False)
    (tmp_path / "data").mkdir()
    return tmp_path


def compiled(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Index and compile spec.yaml; all samples as the command prints them."""
    assert main(["index", "spec.yaml", "--quiet"]) == 0
    assert main(["compile", "spec.yaml", "-o", "plan", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["stream", "plan", "--format", "jsonl"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def check_resume(expected: list[str]) -> None:
    """Two ranks, a stop in the middle, then one: the same samples go on."""
    plan = mixtera.Plan.open("plan")
    with plan.stream(8) as stream:
        first = [text for _ in range(3) for text in next(stream)["text"].to_pylist()]
        state = json.loads(json.dumps(stream.state_dict()))
    assert first == expected[:24]
    with plan.stream(8) as stream:
        stream.load_state_dict(state)
        rest = [text for batch in stream for text in batch["text"].to_pylist()]
    assert rest == expected[24 : len(expected) // 8 * 8]
    ranks = [[batch["text"].to_pylist() for batch in plan.stream(4, rank, 2)] for rank in range(2)]
    both = [text for pair in zip(*ranks, strict=True) for part in pair for text in part]
    assert both == expected[: len(expected) // 8 * 8]


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_from_files_to_batches(suffix: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.table(RECORDS)
    for number in range(3):
        WRITERS[suffix](here / "data" / f"{number}{suffix}", table[number * 100 : (number + 1) * 100])
    (here / "spec.yaml").write_text(SPEC.format(suffix=suffix))
    samples = compiled(capsys)
    assert len(samples) > 64
    rows = table.to_pylist()
    for sample, pointer in zip(samples, mixtera.Plan.open("plan").samples(0, len(samples)).to_pylist(), strict=True):
        row = rows[int(pointer["file"][0]) * 100 + pointer["row"]]
        assert sample["text"] == row["text"]
        old = row["year"] is not None and row["year"] < 2005 and row["seen"]
        assert sample["component"] == ("old" if old else "english")
    check_resume([str(sample["text"]) for sample in samples])


def test_every_format_gives_the_same_samples_as_parquet(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.table(RECORDS)
    found = {}
    one_group: dict[str, Writer] = {  # rows that are read together stay together in the order
        ".parquet": lambda path, table: pq.write_table(table, path),
        ".feather": lambda path, table: pa.feather.write_feather(table, path, compression="zstd"),
    }
    for suffix, write in (WRITERS | one_group).items():
        write(here / "data" / f"0{suffix}", table)
        (here / "spec.yaml").write_text(SPEC.format(suffix=suffix))
        catalog = ["--catalog", f"catalog{suffix}", "--quiet"]
        assert main(["index", "spec.yaml", *catalog]) == 0
        assert main(["compile", "spec.yaml", "-o", f"plan{suffix}", *catalog]) == 0
        capsys.readouterr()
        assert main(["stream", f"plan{suffix}", "--format", "jsonl"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        found[suffix] = [(line["component"], line["text"]) for line in lines]
    assert [suffix for suffix, samples in found.items() if samples != found[".parquet"]] == []


def test_text_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = {f"{folder}/{i:03d}.txt": f"{folder} {i}\n" * (i % 5) for folder in ("books", "notes") for i in range(60)}
    for folder in ("books", "notes"):
        (here / "data" / folder).mkdir()
    for name, text in texts.items():
        (here / "data" / name).write_text(text)
    (here / "spec.yaml").write_text(
        "version: 1\nname: texts\nsources:\n"
        "  books: {path: data/books/*.txt, content: text}\n  notes: {path: data/notes/*.txt, content: text}\n"
        "mixture: {by: dataset, weights: uniform}\norder: {seed: 1, chunk_size: 32, lanes: 2, granule: 8}\n"
    )
    samples = compiled(capsys)
    assert sorted(str(sample["text"]) for sample in samples) == sorted(texts.values())
    check_resume([str(sample["text"]) for sample in samples])


@pytest.mark.parametrize(
    ("name", "data", "format_", "said"),
    [
        ("a.jsonl", "parquet", None, "its content looks like Parquet: write `format: parquet` for the source"),
        ("a.jsonl", "arrow", None, "its content looks like an Arrow stream: write `format: arrow` for the source"),
        ("a.json", "array", None, "its content looks like one JSON array (write one object a line)"),
        ("a.json", "indented", None, "its content looks like JSON over several lines (write one object a line)"),
        ("a.jsonl", "lzma", None, "its content looks like LZMA without a container (compress it again as .xz)"),
        ("a.jsonl", "zlib", None, "its content looks like zlib data (compress it again with gzip)"),
        ("a.jsonl", "utf-16", None, "its content looks like UTF-16 text (write it again as UTF-8)"),
        ("a.jsonl", "utf-32", None, "its content looks like UTF-32 text (write it again as UTF-8)"),
        ("a.json", "html", None, "its content looks like an HTML page: was it downloaded behind a login?"),
        ("a.parquet", "jsonl", None, "its content looks like JSON lines: write `format: jsonl` for the source"),
        ("a.parquet", "jsonl.gz", None, "its content looks like JSON lines, compressed with gzip as a whole: write"),
        ("a.parquet", "arrow", None, "its content looks like an Arrow stream: write `format: arrow`"),
        ("a.parquet", "parquet.gz", None, "its content is Parquet, compressed with gzip as a whole: decompress it"),
        ("a.arrow", "jsonl", None, "its content looks like JSON lines: write `format: jsonl`"),
        ("a.arrow", "csv", None, "its content looks like delimited text: write `format: csv`"),
        ("a.arrow", "lfs", None, "its content looks like a pointer of Git LFS, not the file (run `git lfs pull`)"),
        ("a.csv", "parquet", None, "its content looks like Parquet: write `format: parquet`"),
        ("a.csv", "jsonl", None, "its content looks like JSON lines: write `format: jsonl`"),
        ("a.feather", "html", None, "its content looks like an HTML page"),
        ("a.txt", "zip", None, "it looks like a ZIP archive"),
        ("a.data", "tar", "parquet", "its content looks like a tar archive"),
    ],
)
@pytest.mark.parametrize("properties", ["", ", properties: {p: p}"])
def test_when_a_suffix_lies_the_error_says_what_to_write(
    name: str,
    data: str,
    format_: str | None,
    said: str,
    properties: str,
    here: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = here / "data" / name
    path.write_bytes(content(data, here))
    if properties and name.endswith(".txt"):
        said = "a plain text file has no properties"
    chosen = f", format: {format_}" if format_ else ""
    (here / "spec.yaml").write_text(
        f"version: 1\nname: s\nsources:\n  web: {{path: data/{name}, content: text{chosen}{properties}}}\n"
        "mixture: {by: dataset}\n"
    )
    assert main(["index", "spec.yaml", "--quiet"]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert name in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            b"",
            "property 'p': no file has a byte in it, so none has a value at 'p'; correct the path, or declare its type",
        ),
        (
            b"text,p\na,1\nb,2\n",
            "property 'p': none of the first records has a value at 'p'; correct the path, or declare its type: "
            "{path: p, type: string}; %s: its content looks like delimited text: write `format: csv` for the source",
        ),
    ],
)
def test_what_hides_the_type_of_a_property_is_said(
    lines: bytes, said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (here / "data" / name).write_bytes(lines if name == "b.jsonl" else b"")
    (here / "spec.yaml").write_text(
        "version: 1\nname: s\nsources:\n  web: {path: data/*.jsonl, content: text, properties: {p: p}}\n"
        "mixture: {by: dataset}\n"
    )
    assert main(["index", "spec.yaml", "--quiet"]) == 1
    assert said.replace("%s", str(here / "data" / "b.jsonl")) in capsys.readouterr().err


def test_a_name_with_a_line_end_takes_one_line_wherever_it_is_shown(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "data" / "a\nb é.jsonl").write_text('{"text": "a"}\n{"text": 1}\n')
    (here / "spec.yaml").write_text(
        "version: 1\nname: s\nsources:\n  web: {path: data/*.jsonl, content: text, on_bad_sample: quarantine}\n"
        "mixture: {by: dataset}\norder: {chunk_size: 4, granule: 1}\n"
    )
    assert main(["index", "spec.yaml", "--quiet"]) == 0
    assert main(["compile", "spec.yaml", "-o", "plan", "--quiet"]) == 0
    capsys.readouterr()
    for words in (
        ["catalog", "show", "web"],
        ["catalog", "show", "web", "--quarantine"],
        ["stream", "plan"],
        ["ledger", "plan", "--step", "0", "--batch", "1"],
    ):
        assert main(words) == 0
        shown = capsys.readouterr().out
        assert r"a\nb é.jsonl" in shown
        assert "\nb é" not in shown


def test_a_page_among_records_that_may_be_skipped_is_skipped(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "data" / "a.json").write_bytes(content("html", here))
    (here / "data" / "b.json").write_text('{"text": "a"}\n')
    (here / "spec.yaml").write_text(
        "version: 1\nname: s\nsources:\n  web: {path: data/*.json, content: text, on_bad_sample: skip}\n"
        "mixture: {by: dataset}\n"
    )
    assert main(["index", "spec.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sources"][0]["skipped"] == 2


def content(kind: str, directory: Path) -> bytes:
    """A small file of a kind."""
    if kind.endswith(".gz"):
        return gzip.compress(content(kind.removesuffix(".gz"), directory))
    table = pa.table({"text": [f"text {i}" for i in range(200)], "p": list(range(200))})
    scratch = directory / "scratch"
    match kind:
        case "parquet":
            pq.write_table(table, scratch)
        case "arrow":
            write_stream(scratch, table)
        case "csv":
            pa.csv.write_csv(table, scratch)
        case "jsonl":
            scratch.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
        case "lzma":
            rows = b"".join(b"%x" % (i * i * 2_654_435_761) for i in range(5000))
            scratch.write_bytes(lzma.compress(rows, lzma.FORMAT_ALONE))
        case "zlib":
            scratch.write_bytes(zlib.compress(b"".join(b"%x" % (i * i * 2_654_435_761) for i in range(5000))))
        case "utf-16" | "utf-32":
            scratch.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()), kind)
        case "array":
            scratch.write_text(json.dumps(table.to_pylist()))
        case "indented":
            scratch.write_text("".join(json.dumps(row, indent=1) + "\n" for row in table.to_pylist()))
        case "lfs":
            scratch.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
        case "html":
            scratch.write_text("<!DOCTYPE html>\n<html><body>Sign in</body></html>\n")
        case "zip":
            scratch.write_bytes(b"PK\x03\x04" + bytes(100))
        case "tar":
            scratch.write_bytes(b"a.txt".ljust(257, b"\0") + b"ustar\x0000" + bytes(760))
    return scratch.read_bytes()


@pytest.mark.parametrize(("policy", "code"), [("fail", 1), ("skip", 0), ("{policy: quarantine, limit: {count: 2}}", 0)])
def test_bad_records_by_policy(policy: str, code: int, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["id,text", *(f"{i},text {i}" for i in range(40))]
    lines[5], lines[9] = "4", "8,a,b"
    (here / "data" / "a.csv").write_text("\n".join(lines))
    (here / "spec.yaml").write_text(
        f"version: 1\nname: s\nsources:\n  web: {{path: data/*.csv, content: text, on_bad_sample: {policy}}}\n"
        "mixture: {by: dataset}\n"
    )
    assert main(["index", "spec.yaml", "--quiet"]) == code
    told = capsys.readouterr().err
    assert ("a.csv:5: it has 1 field(s) and the header has 2: '4'" in told) == (code == 1)
