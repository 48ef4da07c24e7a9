"""`mixtera simulate`."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import mixtera
from mixtera.cli.main import main

HEAD = """version: 1
sources:
  web: {path: web/*.jsonl, content: text, properties: {language: lang, year: {path: year, type: int64}}}
  code: {path: code/*.parquet, content: {text: body}, properties: {language: lang}}
"""
PARTS = """mixture:
  components:
    - {name: web, where: {dataset: web}, weight: 3, on_exhaust: redistribute}
    - {name: code, weight: 1, on_exhaust: repeat, max_epochs: 2.5}
"""
AVERAGE = "  dynamic: {algorithm: loss_average, every: 5, floor: 0.3}\n"
LOSSES = {
    "step": [0, 0, 1, 1],
    "component": ["web", "code", "web", "code"],
    "loss_sum": [30.0, 10.0, 20.0, 8.0],
    "loss_count": [10, 5, 10, 5],
}


@pytest.fixture
def spec(run):
    """A dynamic spec over the indexed corpus."""
    Path("dynamic.yaml").write_text(HEAD + PARTS + AVERAGE)
    return "dynamic.yaml"


def test_sizes_come_from_the_catalog(spec, run) -> None:
    code, out, err = run("simulate", spec, "--losses", "model", "--json", "--steps", "100", "--batch", "4")
    assert (code, err) == (0, "")
    found = json.loads(out)
    sizes = [(each["name"], each["size"], each["places"]) for each in found["components"]]
    assert sizes == [("web", 400, 400), ("code", 90, 225)]
    assert found["points"][0]["weights"] == {"web": 0.7, "code": 0.3}
    assert found["steps"] == 100


def test_the_groups_of_a_by_are_components(run) -> None:
    Path("groups.yaml").write_text(HEAD + "mixture:\n  by: [dataset, language]\n  dynamic: {algorithm: odm}\n")
    code, out, _ = run("simulate", "groups.yaml", "--losses", "model", "--json", "--steps", "20")
    assert code == 0
    assert len(json.loads(out)["components"]) == 5


def test_without_a_catalog_the_spec_alone_counts(spec, run) -> None:
    words = ["simulate", spec, "--catalog", "none", "--losses", "model", "--size", "code=50", "--batch", "4"]
    code, out, err = run(*words, "--steps", "100")
    assert code == 0
    assert "without the catalog: no catalog at" in err
    lines = {line.split()[0]: line for line in out.splitlines() if line and line[0].isalpha()}
    assert "125" in lines["code"]  # 2.5 epochs
    assert "2.50" in lines["code"]
    assert "The run ends there: code has run out (on_exhaust: stop)." in out


@pytest.mark.parametrize("name", ["losses.parquet", "losses.csv", "losses.arrow", "losses.feather"])
def test_recorded_losses(spec, run, name: str) -> None:
    table = pa.table(LOSSES)
    writers = {".parquet": pq.write_table, ".csv": pyarrow.csv.write_csv}
    writers.get(Path(name).suffix, pyarrow.feather.write_feather)(table, name)
    Path(spec).write_text(HEAD + PARTS + "  dynamic: {algorithm: loss_average, options: {decay: 1}}\n")
    code, out, _ = run("simulate", spec, "--losses", name, "--format", "json")
    assert code == 0
    found = json.loads(out)
    assert found["steps"] == 2
    assert found["points"][-1]["weights"] == pytest.approx({"web": 2.5 / 4.3, "code": 1.8 / 4.3})


def test_the_budget_says_steps_and_batch(spec, run) -> None:
    text = HEAD + PARTS.replace("mixture:\n", "mixture:\n  budget: {steps: 12, batch: 8}\n") + AVERAGE
    Path(spec).write_text(text)
    code, out, _ = run(
        "simulate", spec, "--losses", "model", "--law", "web=1,2,0.5", "--law", "code=3,0,0", "-o", "r.txt"
    )
    assert (code, out) == (0, "")
    assert Path("r.txt").read_text().startswith("loss_average: 12 steps of 8 samples")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--losses", "none.parquet"], "none.parquet: there is no such file; or write `model`"),
        (["--losses", "mixed.yaml"], "recorded losses are a table (.parquet, .csv, .arrow, .feather)"),
        (["--losses", "bad.parquet"], "bad.parquet: cannot be read as .parquet"),
        (["--losses", "short.parquet"], "the column loss_count is missing; there are: step, component, loss_sum"),
        (["--losses", "empty.parquet"], "there is no row in it"),
        (["--losses", "other.parquet"], "losses of 'news', which is no component; there are: web, code"),
        (["--losses", "text.parquet"], "loss_sum is string, and double is needed"),
        (["--losses", "early.parquet"], "the step -1 is below 0"),
        (["--losses", "null.parquet"], "1 rows have no component"),
        (["--losses", "model", "--size", "news=4"], "a size is given for 'news', and there are: web, code"),
        (["--losses", "model", "--law", "news=4,1,1"], "a law is given for 'news', and there are: web, code"),
    ],
)
def test_wrong_input_is_told(spec, run, words, said) -> None:
    table = pa.table(LOSSES)
    Path("bad.parquet").write_text("no table")
    pq.write_table(table.select(["step", "component", "loss_sum"]), "short.parquet")
    pq.write_table(table.slice(0, 0), "empty.parquet")
    for name, column, values in [
        ("other", "component", ["web", "news", "web", "code"]),
        ("text", "loss_sum", ["a", "b", "c", "d"]),
        ("early", "step", [-1, 0, 1, 2]),
        ("null", "component", ["web", None, "web", "code"]),
    ]:
        pq.write_table(pa.table(LOSSES | {column: values}), f"{name}.parquet")
    code, out, err = run("simulate", spec, *words)
    assert (code, out) == (1, "")
    assert said in err


@pytest.mark.parametrize(
    "words",
    [
        ["--losses", "model", "--size", "web"],
        ["--losses", "model", "--size", "web=0"],
        ["--losses", "model", "--law", "web=1,2"],
        ["--losses", "model", "--law", "web=1,2,nan"],
        ["--losses", "losses.parquet", "--law", "web=1,2,3"],
        ["--losses", "model", "--json", "--format", "text"],
        ["--losses", "model", "--json", "--format", "html"],
        ["--losses", "model", "--steps", "0"],
        [],
    ],
)
def test_wrong_usage(spec, run, words) -> None:
    code, out, err = run("simulate", spec, *words)
    assert (code, out) == (2, "")
    assert err


def test_a_spec_without_dynamic_has_nothing_to_simulate(run) -> None:
    code, _, err = run("simulate", "mixed.yaml", "--losses", "model")
    assert code == 1
    assert "the mixture has no `dynamic`" in err


def test_groups_need_a_catalog(run) -> None:
    Path("groups.yaml").write_text(HEAD + "mixture: {by: dataset, dynamic: {algorithm: odm}}\n")
    code, _, err = run("simulate", "groups.yaml", "--catalog", "none", "--losses", "model")
    assert code == 1
    assert "the components of `by: dataset` are not known without a catalog; index the spec" in err


def test_options_by_component_are_checked_against_the_groups(run) -> None:
    mixture = "mixture: {by: dataset, dynamic: {algorithm: sheared, options: {targets: {web: 1, cod: 1}}}}\n"
    Path("groups.yaml").write_text(HEAD + mixture)
    code, _, err = run("simulate", "groups.yaml", "--losses", "model")
    assert code == 1
    assert "no component is named 'cod'; did you mean 'code'" in err


def test_its_plan_compiles_and_only_a_job_streams_it(spec, run) -> None:
    for command in (["explain", spec], ["compile", spec, "-o", "p"], ["explain", "p"], ["lock", spec]):
        assert run(*command)[0] == 0
    for plan in ("p", spec):
        code, out, err = run("stream", plan)
        assert (code, out) == (1, "")
        assert "follow the training (loss_average)" in err
        assert "mixtera.Job.local(plan, directory)" in err


def test_check_and_index_take_it(spec, run) -> None:
    assert run("check", spec)[0] == 0
    assert run("index", spec, "--quiet")[0] == 0


def test_the_spec_has_what_is_written(spec) -> None:
    dynamic = mixtera.load(spec).mixture.dynamic
    assert (dynamic.algorithm, dynamic.every, dynamic.lag, dynamic.bounds.floor) == ("loss_average", 5, 1, 0.3)


def test_the_help_names_it(capsys) -> None:
    assert main(["simulate", "--help"]) == 0
    assert "power laws" in capsys.readouterr().out


def test_a_page_is_written(spec, run) -> None:
    code, out, err = run("simulate", spec, "--losses", "model", "--steps", "50", "--format", "html", "-o", "page.html")
    assert (code, out, err) == (0, "", "page.html: written\n")
    assert Path("page.html").read_text().startswith("<!doctype html>")
