from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pyarrow as pa
import pytest

import mixtera
from mixtera.plan import Plan
from tests.synthetic import plan_data


def plan(**options) -> Plan:
    labels = [np.arange(90, dtype=np.uint8) % 3 for _ in range(4)]
    return Plan.of(plan_data(labels, [3.0, 1.0, 2.0], **options), Path(mkdtemp()))


def test_samples_are_cut_at_the_end() -> None:
    one = plan()
    assert one.samples(len(one) - 5, len(one) + 5).num_rows == 5
    assert one.samples(len(one) + 5, len(one) + 9).num_rows == 0
    assert one.samples(3, 3).num_rows == 0


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (5, 4)])
def test_positions_that_make_no_sense_are_refused(start: int, stop: int) -> None:
    with pytest.raises(mixtera.PlanError, match="positions"):
        plan().samples(start, stop)


def test_an_endless_plan_has_no_length_but_is_true() -> None:
    endless = plan(epochs=[None, None, None])
    with pytest.raises(TypeError, match="max_epochs"):
        len(endless)
    assert endless
    assert "endless" in repr(endless)
    with pytest.raises(mixtera.PlanError, match="stop="):
        endless.locate(5 << 31)


def test_a_saved_plan_is_the_same_plan(tmp_path: Path) -> None:
    one = plan()
    one.save(str(tmp_path / "plan"))
    again = mixtera.Plan.open(str(tmp_path / "plan"))
    assert again.digest == one.digest
    assert again.samples(0, 100).equals(one.samples(0, 100))
    assert len(again) == len(one)


def test_the_temporary_directory_goes_with_the_plan() -> None:
    one = plan()
    path = one.path
    assert path.is_dir()
    del one
    assert not path.exists()


def test_far_positions_of_an_endless_plan_are_reached_at_once() -> None:
    endless = plan(epochs=[None, None, None])
    far = 10**14
    table = endless.samples(far, far + 6)
    assert sorted(table.column("component").to_pylist()) == ["c0", "c0", "c0", "c1", "c2", "c2"]
    sample = table.column("sample")[0].as_py()
    assert endless.pointers.lanes.position_of(0, 0) is not None
    assert sample in endless.samples(0, 1000).column("sample").to_pylist()


def test_files_of_one_name_in_two_sources_are_one_name_in_a_table_of_samples() -> None:
    data = plan_data([np.arange(9, dtype=np.uint8) % 3 for _ in range(4)], [3.0, 1.0, 2.0])
    names = pa.array(["a.jsonl", "b.jsonl", "a.jsonl", "c.jsonl"])
    files = data.files.set_column(data.files.schema.get_field_index("name"), "name", names)
    table = Plan.of(replace(data, files=files), Path(mkdtemp())).samples(0, 12)
    assert set(table.column("file").combine_chunks().dictionary.to_pylist()) == {"a.jsonl", "b.jsonl", "c.jsonl"}
    shown = table.to_pandas()
    assert list(shown["file"]) == table.column("file").to_pylist()
    file_ids = [sample >> 31 for sample in table.column("sample").to_pylist()]
    known = dict(zip(data.files.column("file_id").to_pylist(), names.to_pylist(), strict=True))
    assert list(shown["file"]) == [known[file_id] for file_id in file_ids]
