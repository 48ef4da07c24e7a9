"""What `mixtera explain` says of every example spec, over the demo's corpus of a small installation made by hand.

The digest is in it: it changes when the order, a label, or the identity of a file does. Sizes of files are replaced by
made-up ones, as they depend on the versions of compressors and of Parquet, and so are their directories.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import mixtera
from mixtera.artifact.model import PlanData
from mixtera.compiler import overlap
from mixtera.demo.corpus import build
from mixtera.demo.specs import copy_specs, example_specs
from mixtera.explanation import explain
from mixtera.plan import Plan
from tests.miniature import installation

SPECS = [path.name for path in example_specs()]
READERS = 6
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "explain.md"
SHOWN = re.compile(r"^```text\n.*?^```\n", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("golden")
    build(root / "corpus", installation(root / "installation"))
    copy_specs(root)
    return root


@pytest.mark.parametrize("name", SPECS)
def test_explain(name: str, directory: Path, tmp_path: Path, check_golden: Callable[[str, str], None]) -> None:
    spec = mixtera.load(str(directory / name))
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    catalog.index(spec, workers=1)
    plan = mixtera.compile(spec, catalog)
    stable = Plan(with_sizes(plan.data), plan.path, plan.digest)
    explanation = explain(stable, readers=READERS, overlap=overlap(spec, catalog))
    check_golden(f"explain-{Path(name).stem}.txt", str(explanation))
    check_golden(f"explain-{Path(name).stem}.mmd", explanation.to_mermaid())
    check_golden(f"explain-{Path(name).stem}.shape", shape_text(explanation.to_json()))


def shape_text(values: dict[str, Any]) -> str:
    """Every path of some JSON values with the types found there: names do not change by accident, numbers may."""
    found: dict[str, set[str]] = {}
    _note_shape(values, "", found)
    return "".join(f"{path}: {' | '.join(sorted(types))}\n" for path, types in sorted(found.items()))


def _note_shape(value: Any, path: str, found: dict[str, set[str]]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            # the shares of a span are by component: the names are data there
            _note_shape(inner, f"{path}{'{}' if path.endswith('.shares') else f'.{key}'}", found)
    elif isinstance(value, list):
        found.setdefault(path, set()).add("list")
        for inner in value:
            _note_shape(inner, f"{path}[]", found)
    else:
        found.setdefault(path, set()).add("null" if value is None else type(value).__name__)


def with_sizes(data: PlanData) -> PlanData:
    """The same plan over files of 200 bytes a row as stored, 400 decoded, below a directory of one length."""
    rows, files = data.files.column("rows").to_numpy(), data.files
    urls = [f"/corpus/{name}" for name in files.column("name").to_pylist()]
    for name, values in (("size", 200 * rows), ("content_bytes", 400 * rows), ("url", urls)):
        files = files.set_column(files.schema.get_field_index(name), name, pa.array(values))
    return replace(data, files=files)


def test_the_page_about_explain_shows_the_example(request: pytest.FixtureRequest) -> None:
    golden = (Path(__file__).parent / "explain-demo.txt").read_text(encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    shown = SHOWN.sub(lambda _: f"```text\n{golden}```\n", text)
    if request.config.getoption("--write-golden"):
        PAGE.write_text(shown, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == shown, "docs/how-to/explain.md shows other text; `make golden`"
    assert golden in shown


def test_no_golden_file_is_left_over() -> None:
    found = {path.name for path in Path(__file__).parent.glob("explain-*")}
    assert found == {f"explain-{Path(name).stem}.{view}" for name in SPECS for view in ("txt", "mmd", "shape")}
