from __future__ import annotations

import json
from pathlib import Path

import pytest

from mixtera.cli.main import main
from tests.catalog.corpus import append, touch_later, write_lines

SPEC = """\
version: 1
name: test
sources:
  web:
    path: data/*.jsonl
    content: text
    {extra}
    properties: {{language: meta.language, year: meta.year, tags: tags}}
mixture:
  by: [language]
  weights: natural
"""


@pytest.fixture
def spec(tmp_path: Path, data: Path) -> str:
    (tmp_path / "spec.yaml").write_text(SPEC.format(extra=""))
    return str(tmp_path / "spec.yaml")


@pytest.fixture
def mixtera(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Runs a command on the catalog of the test: (exit code, stdout, stderr)."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*words, "--catalog", str(tmp_path / "catalog")])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_index_says_what_was_done(mixtera, spec: str, data: Path) -> None:
    code, out, err = mixtera("index", spec)
    assert code == 0
    header, row, last = out.splitlines()
    assert dict(zip(header.split(), row.split(), strict=True)) == {
        "source": "web",
        "new": "4",
        "changed": "0",
        "gone": "0",
        "unchanged": "0",
        "files": "4",
        "samples": "126",
        "skipped": "0",
        "quarantined": "0",
    }
    assert last.startswith("4 files read (")
    assert "catalog" in err
    touch_later(write_lines(data / "part-0.jsonl", range(5)))
    code, out, err = mixtera("index", spec, "--json", "--quiet")
    report = json.loads(out)
    assert (code, err, report["samples"], report["sources"][0]["changed"]) == (0, "", 101, 1)


def test_index_of_bad_data_ends_with_code_1_and_no_traceback(mixtera, spec: str, data: Path) -> None:
    append(data / "part-0.jsonl", b"nonsense\n")
    code, out, err = mixtera("index", spec, "--workers", "2")
    assert (code, out) == (1, "")
    assert "part-0.jsonl:31: " in err
    assert "Traceback" not in err
    assert mixtera("catalog", "ls", "--json")[1] == "[]\n"


def test_index_of_a_missing_file_ends_with_code_3(mixtera, spec: str, data: Path) -> None:
    for file in data.iterdir():
        file.unlink()
    code, out, err = mixtera("index", spec)
    assert (code, out) == (3, "")
    assert "*.jsonl" in err


def test_workers_must_be_a_number(mixtera, spec: str) -> None:
    code, _, err = mixtera("index", spec, "--workers", "0")
    assert code == 2
    assert "1 or more" in err


def test_an_executor_that_is_not_there(mixtera, spec: str) -> None:
    code, out, err = mixtera("index", spec, "--executor", "loca")
    assert (code, out) == (1, "")
    assert "no plugin of kind 'executors' is named 'loca'; installed: local, spark; did you mean 'local'?" in err
    assert mixtera("index", spec, "--executor", "local")[0] == 0


def test_verify_reads_here(mixtera, spec: str) -> None:
    code, _, err = mixtera("index", spec, "--verify", "--executor", "spark")
    assert code == 2
    assert "--executor goes without --verify" in err


def test_ls_and_show(mixtera, spec: str) -> None:
    mixtera("index", spec)
    code, out, _ = mixtera("catalog", "ls")
    assert code == 0
    assert out.splitlines()[1].split()[:5] == ["web", "jsonl", "4", "126", "3"]
    shown = mixtera("catalog", "show", "web")[1]
    assert "property    tags: tags (list<string>)" in shown
    assert "part-3.jsonl    33" in shown
    (snapshot,) = json.loads(mixtera("catalog", "show", "web", "--snapshots", "--json")[1])
    assert (snapshot["files"], snapshot["samples"]) == (4, 126)
    assert snapshot["snapshot"] == json.loads(mixtera("catalog", "show", "web", "--json")[1])["snapshot"]


def test_show_quarantine(mixtera, spec: str, data: Path) -> None:
    Path(spec).write_text(SPEC.format(extra="on_bad_sample: quarantine"))
    append(data / "part-0.jsonl", b"nonsense\n")
    assert mixtera("index", spec)[0] == 0
    (record,) = json.loads(mixtera("catalog", "show", "web", "--quarantine", "--json")[1])
    assert (record["file"], record["row"], record["excerpt"]) == ("part-0.jsonl", 30, "nonsense")


def test_stats(mixtera, spec: str) -> None:
    mixtera("index", spec)
    (facts,) = json.loads(mixtera("catalog", "stats", "web", "--property", "language", "--json")[1])
    assert (facts["samples"], facts["distinct"], facts["top"][0]) == (126, 3, ["de", 42])
    assert "2019" in mixtera("catalog", "stats", "web")[1]


def test_query(mixtera, spec: str) -> None:
    mixtera("index", spec)
    code, out, _ = mixtera("catalog", "query", "web", 'dataset == "web" and "c" in tags and year >= 2018', "--json")
    found = json.loads(out)
    numbers = [100 * part + row for part in range(4) for row in range(30 + part)]
    expected = [number for number in numbers if number % 4 == 3 and number % 20 >= 18]
    assert (code, found["samples"], found["matching"]) == (0, 126, len(expected))
    assert {row["sample"] for row in found["rows"]} == {f"part-{n // 100}.jsonl#{n % 100}" for n in expected}
    assert mixtera("catalog", "query", "web", "year > 2000", "--limit", "1")[1].endswith("samples match\n")
    code, _, err = mixtera("catalog", "query", "web", "yaer > 2000")
    assert code == 1
    assert "did you mean 'year'" in err


def test_times_that_python_has_not_are_shown_as_text(mixtera, tmp_path: Path) -> None:
    times = ["2020-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"]  # the second is in the year before the first one
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": "-", "at": time}) + "\n" for time in times))
    spec = tmp_path / "times.yaml"
    spec.write_text(
        "version: 1\nsources: {times: {path: a.jsonl, content: text, properties: {at: {path: at, type: timestamp}}}}\n"
        "mixture: {by: dataset}\n"
    )
    assert mixtera("index", str(spec))[0] == 0
    (facts,) = json.loads(mixtera("catalog", "stats", "times", "--json")[1])
    assert (facts["smallest"][:10], facts["largest"][:10]) == ("0000-12-31", "2020-01-01")
    found = json.loads(mixtera("catalog", "query", "times", "at is not None", "--json")[1])
    assert [row["at"][:10] for row in found["rows"]] == ["2020-01-01", "0000-12-31"]


def test_drop(mixtera, spec: str) -> None:
    mixtera("index", spec)
    assert mixtera("catalog", "drop", "web")[0] == 0
    code, _, err = mixtera("catalog", "show", "web")
    assert code == 1
    assert "source 'web' is not in the catalog" in err


def test_options_before_the_action_count(mixtera, tmp_path: Path, spec: str) -> None:
    mixtera("index", spec)
    assert main(["catalog", "--catalog", str(tmp_path / "catalog"), "ls"]) == 0


DERIVED = """\
version: 1
name: test
sources:
  web:
    path: data/*.jsonl
    content: text
    properties:
      year: meta.year
      size: {compute: "sizes:size", columns: [text, year], type: int64, options: {least: 3}, version: 2}
    sidecars:
      - {path: scores.csv, on: [file, row], properties: {quality: score}}
filter: size > 8 and quality is not None
mixture: {by: [year], weights: natural}
"""
SIZES = """\
import pyarrow.compute as pc

def size(batch, *, least):
    return pc.max_element_wise(pc.utf8_length(batch.column("text")), least)
"""


def test_derived_properties_from_spec_to_plan_and_lock(mixtera, spec: str, tmp_path: Path) -> None:
    assert mixtera("index", spec)[0] == 0
    path = tmp_path / "derived.yaml"
    path.write_text(DERIVED)
    (tmp_path / "sizes.py").write_text(SIZES)
    scores = "".join(f"part-1.jsonl,{row},{row / 10}\n" for row in range(40))
    (tmp_path / "scores.csv").write_text(f"file,row,score\n{scores}")
    code, out, err = mixtera("index", str(path))
    assert code == 0, err
    assert "web: quality, size added for 4 files that were there\n" in out
    assert f"web: 95 of 126 samples are not in the sidecar {tmp_path}/scores.csv\n" in out
    assert "0 files read" in out
    code, out, _ = mixtera("catalog", "show", "web")
    assert 'property    size: computed by sizes:size (version 2) from text, year with {"least":3} (int64)\n' in out
    assert f"property    quality: from the column 'score' of {tmp_path}/scores.csv on file, row (float64)\n" in out
    shown = json.loads(mixtera("catalog", "show", "web", "--json")[1])
    assert shown["computed"][0]["options"] == '{"least":3}'
    assert json.loads(mixtera("catalog", "stats", "web", "--property", "quality", "--json")[1])[0]["missing"] == 95
    assert json.loads(mixtera("catalog", "ls", "--json")[1])[0]["properties"] == 3
    assert "31 of 126 samples match" in mixtera("catalog", "query", "web", "quality is not None and size == 10")[1]
    assert mixtera("compile", str(path), "-o", str(tmp_path / "plan"))[0] == 0
    assert mixtera("lock", str(path))[0] == 0
    path.write_text(DERIVED.replace("size > 8", "size > 8 and quality > 1"))
    code, out, err = mixtera("diff", str(tmp_path / "plan"), str(path), "--json")
    assert code == 0, err
    assert json.loads(out)
    path.write_text(DERIVED.replace("version: 2", "version: 3"))
    code, _, err = mixtera("compile", str(path), "-o", str(tmp_path / "other"))
    assert code == 1
    assert "property 'size' computed by sizes:size (version 2) from text, year" in err
    assert mixtera("index", spec)[1].count("language, tags added") == 1
    assert mixtera("catalog", "show", "web")[1].count("property ") == 3


def test_a_sidecar_that_is_not_there_ends_with_code_3(mixtera, spec: str, tmp_path: Path) -> None:
    (tmp_path / "derived.yaml").write_text(DERIVED)
    code, out, err = mixtera("index", str(tmp_path / "derived.yaml"))
    assert (code, out) == (3, "")
    assert "scores.csv" in err
