from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mixtera
from mixtera.artifact import digest, layout
from mixtera.cli.main import main
from tests.cli.conftest import Run
from tests.synthetic import NOT_SELECTED, plan_data


@pytest.fixture
def plan(tmp_path: Path) -> str:
    data = plan_data([np.arange(90, dtype=np.uint8) % 3] * 4, [3.0, 1.0, 2.0], epochs=[2, 2, 2])
    layout.write(str(tmp_path / "plan"), data, digest.digest(data))
    return str(tmp_path / "plan")


def test_the_documents_of_a_step_know_their_step(plan: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", plan, "--step", "3", "--batch", "8", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["position"] for row in rows] == list(range(24, 32))
    for row in rows:
        name = f"{row['source']}/{row['file']}#{row['row']}"
        assert main(["ledger", plan, "--sample", name, "--batch", "8", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert {"position": row["position"], "step": 3} in found


def test_text_output(plan: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", plan, "--step", "0", "--batch", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("0  c0  data/part-")
    assert main(["ledger", plan, "--sample", "data/part-0.jsonl#1", "--until", "0"]) == 0
    assert "not delivered before position 0; the first time is at position" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--step", "1"], "--batch"),
        (["--step", "-1", "--batch", "4"], "from 0"),
        (["--step", "1", "--batch", "0"], "at least 1"),
        (["--step", "100000", "--batch", "4"], "whole steps"),
        (["--sample", "data"], "SOURCE/FILE#ROW"),
        (["--sample", "date/part-0.jsonl#1"], "it has data"),
        (["--sample", "data/part-9.jsonl#1"], "did you mean"),
        (["--sample", "data/part-0.jsonl#90"], "90 rows"),
        (["--sample", "data/part-0.jsonl#1", "--until", "-1"], "counted from 0"),
    ],
)
def test_bad_questions_are_answered_with_words(
    plan: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", plan, *arguments]) == 1
    assert words in capsys.readouterr().err


def test_a_plan_without_facts_only_knows_that_no_component_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.arange(90, dtype=np.uint8) % 3
    labels[7] = NOT_SELECTED
    data = plan_data([labels], [3.0, 1.0, 2.0])
    layout.write(str(tmp_path / "plan"), data, digest.digest(data))
    assert main(["ledger", str(tmp_path / "plan"), "--sample", "data/part-0.jsonl#7"]) == 0
    assert capsys.readouterr().out == "data/part-0.jsonl#7 is never delivered: no component has it\n"


SPEC = """version: 1
name: {name}
sources:
  web: {{path: web/*.jsonl, content: text, properties: {{language: lang, year: {{path: year, type: int64}}}}}}
  code: {{path: code/*.parquet, content: {{text: body}}, properties: {{language: lang}}}}
mixture:
  components: [{components}]
order: {{seed: 7, chunk_size: 16, lanes: 2, granule: 8}}
{more}
"""
WEB, CODE = "{name: web, where: {dataset: web}, weight: 1}", "{name: code, where: {dataset: code}, weight: 1}"
BOTH = f"{WEB}, {CODE}"
RUST = "{name: code, where: {language: [rust]}, weight: 1}"
KNOWN = "filter: year != 2000 or year is None"


@pytest.fixture
def compiled(run: Run) -> Callable[..., mixtera.Plan]:
    """Compiles a spec over the corpus of the commands' tests, into the directory `NAME`."""

    def compile_(name: str, components: str = BOTH, more: str = "", *words: str) -> mixtera.Plan:
        Path(f"{name}.yaml").write_text(SPEC.format(name=name, components=components, more=more))
        for command in (["index", f"{name}.yaml"], ["compile", f"{name}.yaml", "-o", name, *words]):
            code, _, err = run(*command, "--quiet")
            assert code == 0, err
        return mixtera.Plan.open(name)

    return compile_


Compiled = Callable[..., mixtera.Plan]


@pytest.mark.parametrize(
    ("components", "more", "sample", "words"),
    [
        (BOTH, KNOWN, "web/a.jsonl#0", "20 rows of web that the filter drops (year != 2000 or year is None)"),
        (WEB, "", "code/b.parquet#3", "it is one of the 90 rows of code that no component asks for"),
        (f"{WEB}, {CODE[:-2]}0}}", "", "code/b.parquet#3", "90 rows of code that only components of weight 0"),
        (RUST, "filter: year is None", "code/b.parquet#0", "one of the 60 rows of code that no component asks for"),
    ],
)  # fmt: skip
def test_a_sample_that_no_component_has(
    compiled: Compiled, run: Run, components: str, more: str, sample: str, words: str
) -> None:
    compiled("asked", components, more)
    code, out, _ = run("ledger", "asked", "--sample", sample)
    assert code == 0
    assert out.startswith(f"{sample} is never delivered: ")
    assert words in out


def test_several_reasons_are_counted(compiled: Compiled, run: Run) -> None:
    english = "{name: web, where: {dataset: web, language: en}, weight: 1}"
    compiled("asked", english, 'filter: year >= 2005 and dataset == "web"')
    _, out, _ = run("ledger", "asked", "--sample", "web/a.jsonl#1")
    assert out == (
        "web/a.jsonl#1 is never delivered: no component has it; of the 400 rows of web, 100 are those that the "
        'filter drops (year >= 2005 and dataset == "web"), 160 are those that no component asks for\n'
    )


def test_a_row_that_is_no_sample(compiled: Compiled, run: Run) -> None:
    with Path("web/a.jsonl").open("a") as file:
        file.write("\n{broken\n")
    text = SPEC.replace("web/*.jsonl, content: text", "web/*.jsonl, content: text, on_bad_sample: skip")
    Path("skipping.yaml").write_text(text.format(name="skipping", components=BOTH, more=""))
    for command in (["index", "skipping.yaml"], ["compile", "skipping.yaml", "-o", "skipping"]):
        assert run(*command, "--quiet")[0] == 0
    for row in (400, 401):
        _, out, _ = run("ledger", "skipping", "--sample", f"web/a.jsonl#{row}")
        assert out.endswith("it is one of the 2 rows of web that hold no sample (blank, or skipped as bad)\n"), out


def test_a_sample_that_is_held_out_is_on_the_other_side(compiled: Compiled, run: Run) -> None:
    sides = {}
    for part in ("train", "holdout"):
        compiled(part, BOTH, "holdout: {fraction: 0.3}", "--part", part)
        _, out, _ = run("ledger", part, "--sample", "code/b.parquet#5")
        sides[part] = out
    absent = [out for out in sides.values() if "never" in out]
    assert len(absent) == 1
    assert "rows of code that `holdout` keeps on the other side of the split" in absent[0]


def test_a_sample_that_is_excluded_says_so(compiled: Compiled, run: Run) -> None:
    Path("gone.csv").write_text("source,file,row\ncode,b.parquet,5\n")
    compiled("asked", BOTH, "exclude: gone.csv")
    for until in ([], ["--until", "3"]):
        code, out, _ = run("ledger", "asked", "--sample", "code/b.parquet#5", *until)
        assert code == 0
        assert out == (
            "code/b.parquet#5 is never delivered: it is of component code, and a list under `exclude` names it\n"
        )
    assert run("ledger", "asked", "--sample", "code/b.parquet#6")[1].startswith("position ")


def test_a_sample_that_the_end_comes_before_knows_its_place(compiled: Compiled, run: Run) -> None:
    plan = compiled("asked")
    table = plan.samples(0, len(plan))
    delivered = sum(name == "web" for name in table["component"].to_pylist())
    seen = {
        row for name, row in zip(table["source"].to_pylist(), table["row"].to_pylist(), strict=True) if name == "web"
    }
    row = min(set(range(400)) - seen)
    _, out, _ = run("ledger", "asked", "--sample", f"web/a.jsonl#{row}")
    ahead = re.fullmatch(
        rf"web/a.jsonl#{row} is never delivered: it would be sample (\d+) of component web, and the plan ends after "
        rf"{delivered} of that component\n",
        out,
    )
    assert ahead, out
    assert delivered < int(ahead[1]) <= 400


def test_a_continued_plan_sends_to_the_one_before(compiled: Compiled, run: Run) -> None:
    old = compiled("old")
    new = compiled("new", f"{WEB}, {CODE.replace('weight: 1', 'weight: 3')}", "", "--continue-from", "old@32")
    before, after = old.samples(0, 32), new.samples(32, 40)
    for row in before.slice(0, 8).to_pylist():
        name = f"{row['source']}/{row['file']}#{row['row']}"
        _, out, _ = run("ledger", "new", "--sample", name)
        assert out == (
            f"{name} is never delivered: it is of component {row['component']}, and was delivered before position 32, "
            f"where this plan takes over from 'old' ({old.digest}); ask that one\n"
        )
    for position, row in enumerate(after.to_pylist(), start=32):
        name = f"{row['source']}/{row['file']}#{row['row']}"
        _, out, err = run("ledger", "new", "--sample", name, "--batch", "8")
        assert out == f"position {position}  step {position // 8}\n"
        assert err == f"before position 32: ask plan 'old' ({old.digest})\n"
    code, out, err = run("ledger", "new", "--step", "3", "--batch", "8")
    assert (code, out) == (1, "")
    assert "begins at position 32" in err


def test_a_continued_component_may_come_again(compiled: Compiled, run: Run) -> None:
    again = BOTH.replace("weight: 1}", "weight: 1, on_exhaust: repeat, max_epochs: 2}")
    old = compiled("old", again)
    new = compiled("new", again, "filter: year is None or year >= 1990", "--continue-from", "old@32")
    row = old.samples(0, 1).to_pylist()[0]
    name = f"{row['source']}/{row['file']}#{row['row']}"
    _, out, _ = run("ledger", "new", "--sample", name, "--json")
    assert [one["position"] for one in json.loads(out)] == new.locate(row["sample"])


def test_a_plan_without_end_asks_how_far_to_look(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "endless", "--sample", "web/a.jsonl#3"]) == 1
    assert "--until P says how far" in capsys.readouterr().err
    assert main(["ledger", "endless", "--sample", "web/a.jsonl#3", "--until", "1"]) == 0
    assert capsys.readouterr().out.startswith(("web/a.jsonl#3 is not delivered before position 1\n", "position 0"))
    assert main(["ledger", "endless", "--sample", "web/a.jsonl#3", "--until", "0", "--json"]) == 0
    out, err = capsys.readouterr()
    assert (json.loads(out), err) == ([], "web/a.jsonl#3 is not delivered before position 0\n")
