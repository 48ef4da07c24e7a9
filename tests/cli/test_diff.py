"""`mixtera diff`: specs, plans and locks against each other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mixtera.comparison.model import COMPARISON_VERSION
from tests.cli.conftest import Run


@pytest.fixture
def other(fresh: Path) -> None:
    """Another spec, `other.yaml`: less English, more code, one component with another name and predicate."""
    text = (fresh / "mixed.yaml").read_text()
    for old, new in (("weight: 50", "weight: 30"), ("name: recent", "name: late"), (">= 2010", ">= 2012")):
        assert old in text
        text = text.replace(old, new)
    (fresh / "other.yaml").write_text(text)


@pytest.mark.usefixtures("other")
def test_two_specs(run: Run) -> None:
    code, out, err = run("diff", "mixed.yaml", "other.yaml", "--batch", "8")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "spec mixed.yaml → spec other.yaml"
    assert "english 50 → 30 50.00 % → 37.50 % 180 152 → 91" in lines
    assert "- recent 20 20.00 % 100 61" in lines
    assert "+ late 20 25.00 % 80 61" in lines
    assert "recent 0 0 20 0 80" in lines
    assert "late 0 0 0 80 0" in lines
    assert "+ - name: late" in lines
    assert any(line.startswith("The first difference is at position") and "(step 0)" in line for line in lines)
    assert run("diff", "mixed.yaml", "other.yaml", "--exit-code")[0] == 1
    assert run("diff", "mixed.yaml", "mixed.yaml", "--exit-code")[0] == 0


@pytest.mark.usefixtures("other")
def test_every_kind_against_every_kind(run: Run) -> None:
    for spec in ("mixed", "other"):
        assert run("compile", f"{spec}.yaml", "-o", f"{spec}-plan")[0] == 0
        assert run("lock", f"{spec}.yaml")[0] == 0
    kinds = (".yaml", "-plan", ".yaml.lock", "-plan/plan.json")
    for one in kinds:
        for another in kinds:
            code, out, _ = run("diff", f"mixed{one}", f"other{another}", "--json", "--exit-code")
            values = json.loads(out)
            assert (code, values["same"]) == (1, False), (one, another)
            assert values["mixtera_comparison"] == COMPARISON_VERSION
            assert {part["name"] for part in values["parts"]} > {"english", "recent", "late", "code/rust"}
            assert (values["samples"] is None) == ("lock" in one or "lock" in another)
            assert bool(values["spec"]) == ("plan" not in one and "plan" not in another)
            code, out, _ = run("diff", f"mixed{one}", f"mixed{another}", "--exit-code")
            assert code == 0, (one, another)
            assert len(out.splitlines()) == 3


def test_a_spec_against_its_own_lock_shows_what_moved(run: Run) -> None:
    run("lock", "mixed.yaml")
    shutil.copy2("web/a.jsonl", "web/b.jsonl")
    run("index", "mixed.yaml")
    code, out, _ = run("diff", "mixed.yaml.lock", "mixed.yaml", "--exit-code")
    assert code == 1
    assert "    + b.jsonl  400 rows, 24,290 bytes" in out.splitlines()
    values = json.loads(run("diff", "mixed.yaml.lock", "mixed.yaml", "--format", "json")[1])
    assert values["sources"][0]["files"][0]["after"]["rows"] == 400


def test_plans_before_and_after_a_file_was_added(run: Run) -> None:
    run("compile", "natural.yaml", "-o", "one")
    shutil.copy2("web/a.jsonl", "web/b.jsonl")
    run("index", "mixed.yaml")
    run("compile", "natural.yaml", "-o", "two")
    values = json.loads(run("diff", "one", "two", "--json")[1])
    assert {key: values["samples"][key] for key in ("kept", "moved", "gained", "lost", "in_changed_files")} == {
        "kept": 490,
        "moved": 0,
        "gained": 400,
        "lost": 0,
        "in_changed_files": 0,
    }
    assert values["before"]["positions"] == 490
    assert values["after"]["positions"] == 890
    back = json.loads(run("diff", "two", "one", "--json")[1])
    assert (back["samples"]["gained"], back["samples"]["lost"]) == (0, 400)


def test_plans_without_end(run: Run) -> None:
    out = run("diff", "natural.yaml", "endless.yaml")[1]
    assert "  after: no end: code and web may repeat for ever" in out.splitlines()
    text = Path("endless.yaml").read_text()
    listed = "components: [{name: w, where: {dataset: web}, weight: 1}, {name: c, weight: 1}]"
    Path("renamed.yaml").write_text(text.replace("by: dataset, weights: uniform", listed))
    code, out, _ = run("diff", "endless.yaml", "renamed.yaml", "--until", "5_000")
    assert code == 0
    assert "(was web)" in out


def test_what_cannot_be_compared(run: Run, tmp_path: Path) -> None:
    code, out, err = run("diff", "mixed.yaml", "nowhere.yaml")
    assert (code, out) == (1, "")
    assert "no such file: nowhere.yaml" in err
    code, _, err = run("diff", "mixed.yaml", "natural.yaml", "--catalog", "none")
    assert code == 1
    assert "none" in err
    code, _, err = run("diff", "web", "mixed.yaml")
    assert code == 1
    assert "web is not a plan" in err
    code, _, err = run("diff", "nowhere.lock", "mixed.yaml")
    assert code == 1
    assert "there is no lock nowhere.lock" in err
    Path("bad.lock").write_text("version: 1\n")
    code, _, err = run("diff", "mixed.yaml", "bad.lock")
    assert code == 1
    assert "bad.lock is not a lock" in err
    Path("newer.json").write_text('{"mixtera_lock": 9}')
    code, _, err = run("diff", "mixed.yaml", "newer.json")
    assert code == 1
    assert "newer Mixtera" in err
    assert run("diff", "mixed.yaml")[0] == 2
    assert run("diff", "mixed.yaml", "natural.yaml", "--batch", "0")[0] == 2


def test_a_lock_that_moved_does_not_keep_a_spec_from_being_compared(run: Run) -> None:
    run("lock", "mixed.yaml")
    Path("mixed.yaml").write_text(Path("mixed.yaml").read_text().replace("seed: 7", "seed: 8"))
    assert run("stream", "mixed.yaml")[0] == 1
    code, out, _ = run("diff", "mixed.yaml.lock", "mixed.yaml")
    assert code == 0
    assert ["seed", "7", "8"] in [line.split() for line in out.splitlines()]
