from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mixtera.artifact import digest, layout
from mixtera.cli.main import main
from tests.synthetic import plan_data


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
    assert "never delivered" in capsys.readouterr().out


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
    ],
)
def test_bad_questions_are_answered_with_words(
    plan: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", plan, *arguments]) == 1
    assert words in capsys.readouterr().err
