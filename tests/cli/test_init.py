import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from mixtera.cli.main import main
from mixtera.spec import load


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("web", "code"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for part in range(2):
        records = [
            {
                "text": f"a long enough document, number {n}",
                "meta": {
                    "Lang": "en",
                    "year": 2000 + n if n % 3 else None,
                    "tags": ["a", "b"],
                    "row": n,
                    "odd": {"k": 1},
                },
                "mixed": 1 if n % 2 else "one",
                "score": n / 7,
            }
            for n in range(20)
        ]
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (tmp_path / f"data/web/part-{part}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    table = pa.table({"body": ["def main(): ..."] * 9, "lang": ["python"] * 9, "year": ["2001"] * 9, "stars": range(9)})
    pq.write_table(table, tmp_path / "data/code/a.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_first_spec_is_right_and_commented(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "data", "-o", "first.yaml"]) == 0
    assert capsys.readouterr().out == ""
    assert "#" in Path("first.yaml").read_text()
    spec = load("first.yaml")
    assert spec.name == "first"
    code, web = sorted(spec.sources, key=lambda source: source.name)
    assert (code.paths, web.paths) == ((str(data / "data/code/a.parquet"),), (str(data / "data/web/*.jsonl.gz"),))
    assert (code.content[0].path, web.content[0].path) == ("body", "text")
    assert {p.path: p.type for p in code.properties} == {"lang": "string", "year": "string", "stars": "int64"}
    assert {p.path: p.type for p in web.properties} == {
        "meta.Lang": "string",
        "meta.year": "int64",
        "meta.tags": "list<string>",
        "meta.row": "int64",
        "meta.odd.k": "int64",
        "score": "float64",
    }
    assert {p.name.casefold() for p in web.properties} >= {"field_row", "k", "tags", "web_year"}


def test_the_spec_goes_to_stdout_by_default(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "data/web/part-1.jsonl.gz", "--name", "only: web"]) == 0
    text = capsys.readouterr().out
    (data / "spec.yaml").write_text(text)
    spec = load("spec.yaml")
    assert spec.name == "only: web"
    assert spec.sources[0].paths == (str(data / "data/web/part-1.jsonl.gz"),)


def test_nothing_is_overwritten(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text("mine")
    assert main(["init", "data", "-o", "mine.yaml"]) == 3
    assert "mine.yaml is there already" in capsys.readouterr().err
    assert Path("mine.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.log", b"hello\n", "no installed format has this suffix"),
        ("a.jsonl", b"{\n", "not JSON"),
        ("a.jsonl", b'{"n": 1}\n', "no field holds text"),
        ("a.jsonl", b"", "no field holds text"),
        ("a.parquet", b"PAR1 no", "no whole Parquet file"),
    ],
)
def test_data_that_make_no_spec(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, word: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert main(["init", str(tmp_path / name)]) == 1
    assert word in capsys.readouterr().err


def test_files_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "no-*.jsonl")]) == 3
    assert "no-*.jsonl" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["init", str(tmp_path / "empty")]) != 0


@pytest.mark.parametrize("kind", ["arrow", "csv", "text"])
def test_specs_for_other_formats_can_be_indexed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table = pa.table({"id": [1, 2], "text": ["one long text", "another"], "lang": ["en", "de"]})
    if kind == "arrow":
        with pa.ipc.new_stream("data.arrow", table.schema) as writer:
            writer.write_table(table)
    elif kind == "csv":
        pa.csv.write_csv(table, "data.csv")
    else:
        Path("data.txt").write_text("one long text")
    assert main(["init", "data.*", "-o", "spec.yaml"]) == 0
    written = Path("spec.yaml").read_text()
    assert f"format: {kind}" in written
    assert "content: text" in written
    assert ("lang: {path: lang, type: string}" in written) == (kind != "text")
    assert main(["index", "spec.yaml", "--quiet"]) == 0


def test_what_describes_a_folder_of_hugging_face_is_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("saved/train").mkdir(parents=True)
    table = pa.table({"text": ["one long text", "another"]})
    with pa.ipc.new_stream("saved/train/data-00000-of-00001.arrow", table.schema) as writer:
        writer.write_table(table)
    Path("saved/dataset_dict.json").write_text('{"splits": ["train"]}')
    for name in ("state.json", "dataset_info.json"):
        Path("saved/train", name).write_text(json.dumps({"features": {"text": {"dtype": "string"}}}, indent=2))
    assert main(["init", "saved", "-o", "spec.yaml"]) == 0
    assert [source.paths for source in load("spec.yaml").sources] == [
        (str(tmp_path / "saved/train/data-00000-of-00001.arrow"),)
    ]
    assert main(["init", "saved/dataset_dict.json"]) == 1  # what is named is looked into
    assert "saved/dataset_dict.json" in capsys.readouterr().err


def test_directories_named_key_value_are_captured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for language, year in (("en", 2020), ("en", 2021), ("de", 2020)):
        folder = Path("crawl") / f"language={language}" / f"year={year}"
        folder.mkdir(parents=True)
        record = {"text": f"{language} text of {year}, " * 9, "year": "in the record too", "n": 1}
        (folder / "x.jsonl").write_text(json.dumps(record) + "\n")
    assert main(["init", "crawl", "-o", "crawl.yaml"]) == 0
    text = Path("crawl.yaml").read_text()
    assert 'path: "crawl/language={language}/year={year}/*.jsonl"' in text
    assert "language: {capture: language, type: string}" in text
    assert "year: {capture: year, type: int64}" in text
    assert "  crawl:\n" in text
    assert main(["check", "crawl.yaml"]) == 0
    assert main(["index", "crawl.yaml"]) == 0
    capsys.readouterr()
    assert main(["catalog", "query", "crawl", "language == 'en' and year > 2020", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["matching"] == 1
