"""No input makes anything but a right spec or an error that says why: broken, shuffled or made-up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixtera.errors import SpecError
from mixtera.importers import KINDS, Imported, read, read_blend
from mixtera.spec import load
from tests.importers.test_golden import CASES, INSTALLED, TABLE, Case

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
KEYS = """splits train val blend blend_epochized datasets path weight repetitions join joiner split_part subset aux
    sources source_name target_ratio paths max_repetition_ratio max_source_fraction seed source_list requested_tokens
    configs config_name data_files data_dir default split dataset_info features name dtype struct sequence list
    distribution recordSet @id @type includes contentUrl containedIn encodingFormat field subField source fileSet
    extract column jsonPath transform regex dataType repeated references data key valid"""
LEAVES = st.one_of(
    st.sampled_from(
        ["a.jsonl", "b/*.parquet", "f", "f.yaml", "train", "string", "sc:Text", "cr:Split", "int64", "", "-"]
    ),
    st.sampled_from([None, True, 0, 1, 2, -1, 0.5, 1e308, "s3://x/y.jsonl", "text", "text/csv", "git+https", "."]),
    st.text(max_size=5),
)
SHAPES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=7),
    max_leaves=40,
)
ENTRY = st.fixed_dictionaries({"path": LEAVES}, optional={"weight": SHAPES, "repetitions": LEAVES, "join": SHAPES})
BLEND = st.dictionaries(st.sampled_from(["blend", "blend_epochized", "datasets"]), st.lists(ENTRY | SHAPES, max_size=4))
SOURCE = st.fixed_dictionaries({"source_name": LEAVES, "target_ratio": LEAVES, "paths": SHAPES})
CONFIG = st.fixed_dictionaries({"config_name": LEAVES, "data_files": SHAPES})
FIELD = st.fixed_dictionaries(
    {"@id": st.sampled_from(["a", "b"]), "source": st.fixed_dictionaries({"fileSet": LEAVES, "extract": SHAPES})},
    optional={"dataType": LEAVES, "references": SHAPES, "subField": SHAPES, "repeated": LEAVES},
)
RECORDS = st.fixed_dictionaries({"@id": LEAVES, "field": st.lists(FIELD | SHAPES, max_size=4)})
FILES = st.fixed_dictionaries({"@id": LEAVES, "includes": LEAVES}, optional={"containedIn": SHAPES})
ROOTS = {
    "energon": st.fixed_dictionaries({"splits": st.fixed_dictionaries({"train": SHAPES | BLEND})}),
    "megatron": SHAPES | st.lists(LEAVES, max_size=6),
    "olmo-core": st.fixed_dictionaries({"sources": SHAPES | st.lists(SOURCE, max_size=4)}),
    "hf-card": st.fixed_dictionaries({"configs": SHAPES | st.lists(CONFIG, max_size=4), "dataset_info": SHAPES}),
    "croissant": st.fixed_dictionaries(
        {"distribution": SHAPES | st.lists(FILES, max_size=3), "recordSet": SHAPES | st.lists(RECORDS, max_size=3)}
    ),
}


def imported(read_it: Callable[[], Imported]) -> Imported | None:
    """The spec, or None where there is an error that says why."""
    try:
        return read_it()
    except SpecError as error:
        problem = error
    assert problem.issues
    return None


def loads(result: Imported, folder: Path) -> bool:
    """Whether a spec is right, its formats once installed."""
    text = result.spec_text
    for missing in ("webdataset", "megatron", "tokens", "csv", "text", "arrow"):
        text = text.replace(f"format: {missing}  #", "format: jsonl  #")
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    return bool(load(folder / "spec.yaml").sources)


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.folder)
def test_a_broken_input_gives_a_spec_or_an_error(case: Case, tmp_path: Path) -> None:
    """The input cut short at many places, and with any line left out: never another exception, never a bad spec."""
    shutil.copytree(CASES / case.folder, tmp_path / "case")
    text = (CASES / case.folder / case.file).read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    broken = [text[:n] for n in range(0, len(text), max(1, len(text) // 100))]
    broken += ["".join(lines[:n] + lines[n + 1 :]) for n in range(len(lines))]
    made = 0
    for n, variant in enumerate(broken):
        file = tmp_path / "case" / f"{n}-{case.file}"
        file.write_text(variant, encoding="utf-8")
        result = imported(lambda file=file: read(file, case.kind, installed=INSTALLED, split=case.split))
        made += result is not None and loads(result, tmp_path)
    assert 0 < made < len(broken)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(st.one_of(TEXTS, st.sampled_from(["1", "0.5", "a", "b/c", "s3://x/y", "--data-path", "\\"])), max_size=6)
)
def test_any_words_give_a_spec_or_an_error(tmp_path: Path, words: list[str]) -> None:
    result = imported(lambda: read_blend(words, folder=tmp_path, installed=INSTALLED))
    assert result is None or loads(result, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_any_shape_gives_a_spec_or_an_error(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    file = tmp_path / "input.json"
    file.write_text(json.dumps(data.draw(ROOTS[kind])), encoding="utf-8")
    result = imported(lambda: read(file, kind, installed=INSTALLED))
    assert result is None or loads(result, tmp_path)
