"""What the example specs promise in their comments, over the demo's corpus of a small installation made by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import zstandard

import mixtera
from mixtera.compiler import Stop
from mixtera.demo.corpus import build
from mixtera.demo.specs import copy_specs, example_specs
from tests.miniature import installation as small

MOST_LINES = 45
LONGER = {"demo.yaml"}  # it reads all five sources, and explains the language


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("examples")
    build(root / "corpus", small(root / "installation"))
    copy_specs(root)
    return root


Compiled = Callable[..., mixtera.Plan]


@pytest.fixture(scope="module")
def compiled(directory: Path) -> Compiled:
    """Compiles an example by its name; the catalog is one for all."""

    def compile_(name: str, stop: Stop | None = None) -> mixtera.Plan:
        spec = mixtera.load(str(directory / f"{name}.yaml"))
        catalog = mixtera.Catalog.open(str(directory / "catalog"))
        catalog.index(spec, workers=1)
        return mixtera.compile(spec, catalog, continue_from=stop)

    return compile_


def rows(plan: mixtera.Plan) -> list[dict[str, object]]:
    return plan.samples(plan.start, plan.end or 0).to_pylist()  # type: ignore[no-any-return]


def component_counts(plan: mixtera.Plan, start: int, stop: int) -> Counter[str]:
    return Counter(plan.samples(start, stop)["component"].to_pylist())


FOLDERS = {"code": "source", "headers": "header", "licenses": "license", "packages": "metadata"}


def properties_of(plan: mixtera.Plan, directory: Path) -> list[dict[str, object]]:
    """The properties of each document that a plan delivers, from the files themselves."""
    read: dict[str, list[dict[str, object]]] = {}
    found = []
    for row in rows(plan):
        path = f"{FOLDERS.get(str(row['source']), str(row['source']))}/{row['file']}"
        if path not in read:
            read[path] = metas(directory / "corpus" / path)
        found.append(read[path][int(str(row["row"]))])
    return found


def metas(file: Path) -> list[dict[str, object]]:
    """The properties of the documents of a file of the corpus, in its order."""
    if file.suffix == ".parquet":
        return pq.read_table(file).to_pylist()  # type: ignore[no-any-return]
    if file.suffix == ".zst":
        with zstandard.ZstdDecompressor().stream_reader(file.read_bytes(), read_across_frames=True) as opened:
            return [json.loads(line)["meta"] for line in opened.read().splitlines()]
    return [json.loads(line)["meta"] for line in file.read_bytes().splitlines()]


def test_there_are_at_least_twelve() -> None:
    assert len(example_specs()) >= 12


@pytest.mark.parametrize("path", example_specs(), ids=lambda path: path.name)
def test_each_begins_with_what_it_is_for_and_is_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert len(lines) <= MOST_LINES or path.name in LONGER
    assert mixtera.load(str(path)).name == path.stem


def test_whatever_is_included_or_excluded_comes_along(directory: Path) -> None:
    root = example_specs()[0].parent
    needed = {path.relative_to(root) for path in root.rglob("*") if path.is_file()}
    assert {Path("parts/corpus.yaml"), Path("lists/opt-outs.csv")} < needed
    assert all((directory / path).read_bytes() == (root / path).read_bytes() for path in needed)


def test_the_ablation_leaves_unknown_licenses_out_and_changes_nothing_else(directory: Path, compiled: Compiled) -> None:
    whole, without = compiled("pretraining"), compiled("ablation")
    assert [c.name for c in whole.data.components] == [c.name for c in without.data.components]
    assert (len(whole), whole.data.order) == (len(without), without.data.order)
    assert None in {found["license"] for found in properties_of(whole, directory)}
    assert None not in {found["license"] for found in properties_of(without, directory)}


def test_continued_pretraining_goes_on_where_the_old_run_stood(compiled: Compiled) -> None:
    old = compiled("pretraining")
    new = compiled("continued-pretraining", Stop.of(old, old.state_at(480)))
    fates = {one["name"]: one["fate"] for one in new.data.facts["continues"]["components"]}
    assert fates.pop("legal") == "new"
    assert set(fates.values()) == {"goes on"}
    assert set(fates) == {component.name for component in old.data.components}
    assert (new.start, new.end) == (480, 1280)
    python = "code/sources/python"
    before = [row["sample"] for row in old.samples(0, 480).to_pylist() if row["component"] == python]
    after = [row["sample"] for row in rows(new) if row["component"] == python]
    assert len(set(before)) == len(before)
    assert max(Counter(before + after).values()) == 2  # of 370, 546 are delivered: no third time, whatever is old
    assert component_counts(new, 480, 1280)["legal"] == pytest.approx(200, abs=4)


def test_evaluation_is_the_other_side_of_decontaminated(directory: Path, compiled: Compiled) -> None:
    train, held_out = (properties_of(compiled(name), directory) for name in ("decontaminated", "evaluation"))
    packages = [{found["package"] for found in part} for part in (train, held_out)]
    assert packages[0] == {"algebra", "gadgets"}
    assert packages[1] == {"riddles"}
    listed = {name: set(pyarrow.csv.read_csv(directory / "lists" / f"{name}.csv")[column].to_pylist())
              for name, column in (("benchmark", "found_in"), ("opt-outs", "file"))}  # fmt: skip
    assert not packages[0] & listed["benchmark"]
    assert not {found["path"] for found in train} & listed["opt-outs"]


def test_evaluation_is_in_file_order(compiled: Compiled) -> None:
    plan = compiled("evaluation")
    table = plan.samples(0, len(plan))
    for component in set(table["component"].to_pylist()):
        mine = [row["row"] for row in table.to_pylist() if row["component"] == component]
        assert mine == sorted(mine)


def test_annealing_turns_to_the_best_data(compiled: Compiled) -> None:
    plan = compiled("annealing")
    first, last = component_counts(plan, 0, 560), component_counts(plan, 720, 800)
    assert first["other-code"] == pytest.approx(280, abs=4)
    assert last["other-code"] + last["legal"] < 8
    assert last["documentation"] > 40


def test_unimax_repeats_no_small_language_too_often(compiled: Compiled) -> None:
    plan = compiled("low-resource")
    assert len(plan) == 1000
    assert max(Counter(row["sample"] for row in rows(plan)).values()) == 4
    counts = component_counts(plan, 0, len(plan))
    assert len({counts[name] for name in ("c", "markdown", "python", "rst")}) == 1


def test_the_curriculum_goes_by_license_and_length(directory: Path, compiled: Compiled) -> None:
    plan = compiled("curriculum")
    by_component: dict[str, list[dict[str, object]]] = {}
    for row, found in zip(rows(plan), properties_of(plan, directory), strict=True):
        by_component.setdefault(str(row["component"]), []).append(found)
    code = [(found["license"] is None, found["bytes"]) for found in by_component["code"]]
    assert code == sorted(code)
    pages = [found["bytes"] for found in by_component["documentation"]]
    assert pages == sorted(pages, reverse=True)
    legal = [found["bytes"] for found in by_component["legal"]]
    assert legal not in (sorted(legal), sorted(legal, reverse=True))


def test_several_columns_are_delivered_together(compiled: Compiled) -> None:
    batch = next(iter(compiled("several-columns").stream(batch_size=32)))
    assert batch.schema.names[:2] == ["text", "title"]
    assert all(
        title and text for title, text in zip(batch["title"].to_pylist(), batch["text"].to_pylist(), strict=True)
    )


def test_floors_and_ceilings_hold(compiled: Compiled) -> None:
    plan = compiled("floors-and-ceilings")
    weights = {component.name: component.weight for component in plan.data.components}
    whole = sum(weights.values())
    assert weights["documentation"] / whole == pytest.approx(0.2)
    assert max(w for name, w in weights.items() if name != "documentation") / whole == pytest.approx(0.8 * 0.3)


def test_every_cell_of_the_grid_has_its_floor(compiled: Compiled) -> None:
    components = compiled("language-license-grid").data.components
    assert {"python,mit", "c,psf-2.0"} < {component.name for component in components}
    assert min(c.weight for c in components) / sum(c.weight for c in components) == pytest.approx(0.05)
