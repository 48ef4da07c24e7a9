"""`mixtera import` as a command: where the spec goes, what is said where, and how it is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mixtera.cli.main import main
from mixtera.spec import load

METADATASET = """splits:
  train:
    blend:
    - {weight: 2, path: web.jsonl}
    - {weight: 1, path: /corpora/books.jsonl}
  val: {path: val.jsonl}
"""
CARD = """---
configs:
- {config_name: en, data_files: en.jsonl}
- {config_name: de, data_files: de.jsonl}
---
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/metadataset.yaml").write_text(METADATASET)
    (tmp_path / "in/README.md").write_text(CARD)
    return tmp_path


def test_the_spec_goes_to_stdout_and_the_list_to_stderr(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "in/metadataset.yaml"]) == 0
    streams = capsys.readouterr()
    assert streams.err.splitlines() == [
        "not translated: in/metadataset.yaml:4: which field training reads is not said for web, books: `content:` is a "
        "guess; `--content FIELD` gives another",
        "not translated: in/metadataset.yaml:6: the split 'val' is not imported: `mixtera import --split val` writes "
        "it",
    ]
    (here / "spec.yaml").write_text(streams.out)
    spec = load("spec.yaml")
    assert [source.paths for source in spec.sources] == [(str(here / "in/web.jsonl"),), ("/corpora/books.jsonl",)]


@pytest.mark.parametrize("output", ["in/spec.yaml", "spec.yaml", "out/deep/spec.yaml"])
def test_relative_paths_lead_to_the_same_files(here: Path, output: str) -> None:
    (here / output).parent.mkdir(parents=True, exist_ok=True)
    assert main(["import", "in/metadataset.yaml", "-o", output, "--content", "body"]) == 0
    spec = load(output)
    assert spec.sources[0].paths == (str(here / "in/web.jsonl"),)
    assert spec.sources[0].content[0].path == "body"


def test_quiet_hides_the_note_and_not_the_list(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "in/metadataset.yaml", "-o", "spec.yaml", "--quiet"]) == 0
    streams = capsys.readouterr()
    assert streams.out == ""
    assert all(line.startswith("not translated: ") for line in streams.err.splitlines())
    assert len(streams.err.splitlines()) == 2


def test_as_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "in/metadataset.yaml", "--json", "--split", "val", "--content", "text"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "energon"
    assert found["spec"].startswith("# Imported by `mixtera import` from metadataset.yaml")
    message = "the split 'train' is not imported: `mixtera import --split train` writes it"
    assert found["untranslated"] == [{"file": "in/metadataset.yaml", "line": 2, "message": message}]
    assert main(["import", "in/metadataset.yaml", "--json", "-o", "spec.yaml"]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == "spec.yaml"


def test_nothing_is_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("spec.yaml").write_text("mine")
    assert main(["import", "in/metadataset.yaml", "-o", "spec.yaml"]) == 3
    assert "spec.yaml is there already" in capsys.readouterr().err
    assert Path("spec.yaml").read_text() == "mine"


def test_nothing_is_written_where_the_input_is_wrong(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "in/README.md", "--split", "test", "-o", "spec.yaml"]) == 1
    assert capsys.readouterr().err == (
        "in/README.md:2:1: there is no split 'test'; splits: train; choose with `--split`\n"
    )
    assert main(["import", "gone.yaml", "-o", "spec.yaml"]) == 1
    assert capsys.readouterr().err == "gone.yaml:1:1: no such file: gone.yaml\n"
    assert not Path("spec.yaml").exists()


def test_configurations_of_a_card(here: Path) -> None:
    assert main(["import", "in/README.md", "-o", "both.yaml"]) == 0
    assert main(["import", "in/README.md", "--config", "de", "-o", "one.yaml"]) == 0
    assert [source.name for source in load("both.yaml").sources] == ["en", "de"]
    assert [source.name for source in load("one.yaml").sources] == ["de"]


def test_splits_and_configurations_are_never_ignored(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "in/metadataset.yaml", "--config", "de"]) == 1
    assert "configurations are those of dataset cards, and this is energon" in capsys.readouterr().err
    (here / "blend.txt").write_text("1 a 2 b")
    assert main(["import", "blend.txt", "--split", "test"]) == 1
    assert "blend.txt:1:1: this has no splits (megatron): leave `--split` out" in capsys.readouterr().err
    assert main(["import", "1", "a", "--split", "test"]) == 2
    assert "have no splits" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["2", "web.jsonl", "1", "books.jsonl"], ["2 web.jsonl 1 books.jsonl"]])
@pytest.mark.parametrize("kind", [[], ["--from", "megatron"]])
def test_the_words_of_a_blend(here: Path, words: list[str], kind: list[str]) -> None:
    assert main(["import", *words, *kind, "-o", "out.yaml"]) == 0
    assert [source.paths for source in load("out.yaml").sources] == [
        (str(here / "web.jsonl"),),
        (str(here / "books.jsonl"),),
    ]


def test_several_words_that_are_no_blend(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "in/metadataset.yaml", "in/README.md"]) == 1
    assert "blend:1:1: 'in/metadataset.yaml' is no weight" in capsys.readouterr().err
    assert main(["import", "in/metadataset.yaml", "in/README.md", "--from", "energon"]) == 2
    assert "one file" in capsys.readouterr().err


def test_an_unknown_kind_is_a_usage_error(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "in/README.md", "--from", "webdataset"]) == 2
    assert "energon" in capsys.readouterr().err


def test_the_kinds_of_the_option_are_those_of_the_package() -> None:
    from mixtera.cli import import_
    from mixtera.importers import KINDS

    assert import_.KINDS == KINDS
