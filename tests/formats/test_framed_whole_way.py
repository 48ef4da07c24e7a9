"""Compressed JSONL of many frames through index, compile, save, explain and stream; and catalogs made before them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import zstandard

import mixtera
from mixtera.catalog import commit, reading, state
from mixtera.cli.main import main
from mixtera.explanation.units import units_of
from mixtera.formats import kept
from mixtera.formats.framed import file as framed
from mixtera.formats.framed import stream
from mixtera.stream.readers import frames_of

ROWS, FILES, FRAME_BYTES = 4_000, 3, 20_000
SPEC = """version: 1
name: framed
sources:
  data: {{path: "{folder}/*.jsonl{suffix}", content: text, properties: {{lang: lang}}}}
mixture:
  on_exhaust: redistribute
  components:
    - {{name: en, where: {{lang: en}}, weight: 3}}
    - {{name: de, where: {{lang: de}}, weight: 1}}
order: {{seed: 3, lanes: 2, granule: 8, chunk_size: 64}}
"""


def lines(part: int) -> list[bytes]:
    return [
        json.dumps({"text": f"{part}/{i} " + "word " * (i % 30), "lang": ("en", "de")[i % 2]}).encode() + b"\n"
        for i in range(ROWS // FILES)
    ]


@pytest.fixture
def directory(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(stream, "SMALLEST_BYTES", FRAME_BYTES)
    for part in range(FILES):
        data = b"".join(lines(part))
        pieces = [data[i : i + FRAME_BYTES] for i in range(0, len(data), FRAME_BYTES)]
        for folder, suffix, packed in (
            ("plain", "", data),
            ("framed", ".zst", b"".join(map(zstandard.ZstdCompressor().compress, pieces))),
            ("whole", ".zst", zstandard.ZstdCompressor().compress(data)),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{part}.jsonl{suffix}").write_bytes(packed)
            (tmp_path / f"{folder}.yaml").write_text(SPEC.format(folder=folder, suffix=suffix))
    return tmp_path


def compiled(directory: Path, name: str, workers: int = 1) -> mixtera.Plan:
    spec = mixtera.load(str(directory / f"{name}.yaml"))
    catalog = mixtera.Catalog.open(str(directory / "catalog"))
    catalog.index(spec, workers=workers)
    return mixtera.compile(spec, catalog)


def delivered(plan: mixtera.Plan, **options) -> list[str]:
    return [text for batch in plan.stream(batch_size=1, **options) for text in batch["text"].to_pylist()]


def test_a_saved_plan_delivers_what_is_in_the_frames_and_reads_each_about_once(directory, monkeypatch):
    unpacked: list[tuple[str, int]] = []
    original = framed.FramedFile._unpacked

    def counting(self, piece, packed):
        unpacked.append((self._file.name, piece))
        return original(self, piece, packed)

    monkeypatch.setattr(framed.FramedFile, "_unpacked", counting)
    compiled(directory, "framed").save(str(directory / "plan"))
    plan = mixtera.Plan.open(str(directory / "plan"))
    found = delivered(plan)
    expected = {json.loads(line)["text"] for part in range(FILES) for line in lines(part)}
    assert set(found) == expected
    places = dict(zip(plan.samples(0, len(found))["sample"].to_pylist(), found, strict=True))
    assert len(places) == len(expected)
    frames = sum(len(frames_of(plan.data, file)) - 1 for file in range(FILES))
    assert len(set(unpacked)) == frames
    assert len(unpacked) <= 2 * frames


def test_readers_and_resumes_agree(directory):
    plan = compiled(directory, "framed")
    whole = delivered(plan)
    ranks = [list(plan.stream(batch_size=16, rank=rank, world_size=2)) for rank in range(2)]
    mixed = [text for step in zip(*ranks, strict=True) for batch in step for text in batch["text"].to_pylist()]
    assert mixed == whole[: len(mixed)]
    first = plan.stream(batch_size=16)
    for _ in range(9):
        next(first)
    again = plan.stream(batch_size=16)
    again.load_state_dict(first.state_dict())
    assert next(again)["text"].to_pylist() == whole[144:160]


def test_the_digest_knows_groups_of_rows_and_not_where_frames_lie(directory):
    plans = {name: compiled(directory, name) for name in ("plain", "framed", "whole")}
    assert len(plans["framed"].data.frames) > 10
    assert len(plans["plain"].data.frames) == len(plans["whole"].data.frames) == 0
    before = plans["framed"].digest
    for part in range(FILES):  # the same frames of the same lines, packed otherwise
        path = directory / "framed" / f"{part}.jsonl.zst"
        data = zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True).read()
        pack = zstandard.ZstdCompressor(level=19).compress
        path.write_bytes(b"".join(pack(data[i : i + FRAME_BYTES]) for i in range(0, len(data), FRAME_BYTES)))
    assert compiled(directory, "framed").digest == before


def test_only_plans_with_frames_have_a_file_of_them(directory):
    for name, there in (("plain", False), ("framed", True)):
        compiled(directory, name).save(str(directory / f"plan-{name}"))
        assert (directory / f"plan-{name}" / "frames.arrow").exists() is there


def test_explain_counts_frames_as_what_is_read_whole(directory, capsys):
    plan = compiled(directory, "framed")
    units = units_of(plan.data)
    frames = sum(len(frames_of(plan.data, file)) - 1 for file in range(FILES))
    assert len(units.used_units) == frames
    assert not units.on_disk.any()
    assert np.median(units.bytes) == pytest.approx(FRAME_BYTES, rel=0.2)
    assert main(["explain", str(directory / "framed.yaml"), "--catalog", str(directory / "catalog")]) == 0
    assert re.search(rf"row groups and files read whole +{frames} ", capsys.readouterr().out)
    assert len(units_of(compiled(directory, "whole").data).used_units) == FILES


def test_a_catalog_of_an_older_release_is_read_and_goes_on(directory, monkeypatch):
    older = tuple(column for column in commit.FILE_COLUMNS if column.name not in ("frames", "beside"))
    with monkeypatch.context() as before:
        before.setattr(commit, "FILE_COLUMNS", older)
        before.setattr(state, "FILE_COLUMNS", older)
        before.setattr(reading, "COLUMNS", [name for name in reading.COLUMNS if name not in ("frames", "beside")])
        mixtera.Catalog.open(str(directory / "catalog")).index(mixtera.load(str(directory / "framed.yaml")), workers=1)
    plan = compiled(directory, "framed")  # nothing is new: read as before, through a copy
    assert len(plan.data.frames) == 0
    expected = set(delivered(plan))
    new = b"".join(zstandard.ZstdCompressor().compress(b"".join(lines(9)[i : i + 400])) for i in range(0, 1200, 400))
    (directory / "framed" / "9.jsonl.zst").write_bytes(new)
    plan = compiled(directory, "framed")
    assert {plan.data.files["name"][i].as_py() for i in set(plan.data.frames["file"].to_pylist())} == {"9.jsonl.zst"}
    assert set(delivered(plan)) > expected


def test_a_frame_damaged_after_indexing_stops_the_stream_with_its_place(directory, capsys, monkeypatch):
    monkeypatch.setattr(kept, "VOLUMES", 1)
    compiled(directory, "framed").save(str(directory / "plan"))
    path = directory / "framed" / "1.jsonl.zst"
    status, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert main(["stream", str(directory / "plan"), "--format", "jsonl"]) == 1
    assert re.search(r"1\.jsonl\.zst, line \d+: the compressed data are broken", capsys.readouterr().err)


def test_the_command_line_keeps_copies_where_it_is_told(directory, capsys, monkeypatch):
    monkeypatch.setenv("MIXTERA_SPOOL", "")
    monkeypatch.setenv("MIXTERA_SPOOL_SIZE", "")
    compiled(directory, "whole").save(str(directory / "plan"))
    spool = directory / "spool"
    spool.mkdir()
    command = ["stream", str(directory / "plan"), "--limit", "500", "--spool-dir", str(spool)]
    assert main([*command, "--spool-size", "1GiB"]) == 0
    assert len(list(spool.glob("*/*.plain"))) == FILES
    capsys.readouterr()
    assert main([*command, "--spool-size", "much"]) == 2
    assert "'much' is not a size" in capsys.readouterr().err
