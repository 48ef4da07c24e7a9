"""import → check → index → explain → compile → stream, through the command line, over real small files."""

from __future__ import annotations

import gzip
import json
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixtera.cli.main import main
from mixtera.plan import Plan
from tests.formats.token_files import as_documents, write_megatron

ENERGON = """
__module__: megatron.energon
__class__: MetadatasetV2
splits:
  train:
    {blend}
"""
CARD = """---
configs:
- config_name: en
  data_files:
  - {split: train, path: data/en-*}
  - {split: test, path: data/none-*}
- config_name: de
  data_files: data/de.jsonl
dataset_info:
- config_name: en
  features:
  - {name: body, dtype: string}
  - {name: lang, dtype: string}
  - {name: stars, dtype: int32}
- config_name: de
  features: [{name: text, dtype: string}, {name: lang, dtype: string}]
---
# A card
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIXTERA_CATALOG", raising=False)
    return tmp_path


def jsonl(path: Path, prefix: str, count: int, index: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"text": f"{prefix} {n}", "lang": prefix}) + "\n" for n in range(count)]
    path.write_text("".join(lines))
    if index:
        offsets = [sum(map(len, lines[:n])) for n in range(count + 1)]
        path.with_name(f"{path.name}.idx").write_bytes(struct.pack(f"<{count + 1}Q", *offsets))


def whole_way(capfd: pytest.CaptureFixture[str], spec: str, limit: int | None = None) -> Counter[str]:
    """Check, index, explain, compile; then how often the stream has each text."""
    for words in (["check", spec], ["index", spec, "--quiet"], ["explain", spec], ["compile", spec, "-o", "plan"]):
        assert main(words) == 0, capfd.readouterr().err
    capfd.readouterr()
    bounded = [] if limit is None else ["--limit", str(limit)]
    assert main(["stream", "plan", "--format", "jsonl", *bounded]) == 0
    return Counter(json.loads(line)["text"] for line in capfd.readouterr().out.splitlines())


def test_an_energon_blend(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    jsonl(here / "in/web.jsonl", "web", 60)
    jsonl(here / "in/deep/code.jsonl", "code", 50)
    nested = "blend: [{weight: 1, path: code.jsonl}, {weight: 1, path: ../web.jsonl}]"
    (here / "in/deep/nested.yaml").write_text(ENERGON.format(blend=nested))
    blend = "blend: [{weight: 3, path: ./web.jsonl}, {weight: 1, path: deep/nested.yaml}]"
    (here / "in/metadataset.yaml").write_text(ENERGON.format(blend=blend))
    assert main(["import", "in/metadataset.yaml", "-o", "specs-of-mine.yaml"]) == 0
    assert "not translated: in/metadataset.yaml:6: which field" in capfd.readouterr().err
    seen = whole_way(capfd, "specs-of-mine.yaml", 800)
    by_kind = Counter({kind: sum(n for t, n in seen.items() if t.startswith(kind)) for kind in ("web", "code")})
    assert seen.total() == 800
    assert by_kind["code"] in range(96, 105)  # 1/4 × 1/2 of 800, and never more than 4 away
    assert by_kind["web"] > 2 * 60  # every dataset begins anew


def test_every_sample_of_an_epochized_blend_comes_as_often_as_it_says(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    jsonl(here / "a.jsonl", "a", 40, index=True)
    jsonl(here / "b.jsonl", "b", 25, index=True)
    jsonl(here / "c.jsonl", "c", 30, index=True)
    (here / "inner.yaml").write_text(
        ENERGON.format(blend="blend_epochized: [{repetitions: 2, path: b.jsonl}, {path: c.jsonl}]")
    )
    blend = "blend_epochized: [{repetitions: 3, path: a.jsonl}, {repetitions: 2, path: inner.yaml}]"
    (here / "metadataset.yaml").write_text(ENERGON.format(blend=blend))
    assert main(["import", "metadataset.yaml", "-o", "spec.yaml", "--content", "text"]) == 0
    assert "not translated" not in capfd.readouterr().err
    seen = whole_way(capfd, "spec.yaml")
    wanted = {"a": 3, "b": 4, "c": 2}
    assert {text: n for text, n in seen.items() if n != wanted[text[0]]} == {}
    assert seen.total() == 3 * 40 + 4 * 25 + 2 * 30


def test_and_so_it_does_without_knowing_their_number(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    jsonl(here / "a.jsonl", "a", 40)
    jsonl(here / "b.jsonl", "b", 25)
    blend = "blend_epochized: [{repetitions: 3, path: a.jsonl}, {repetitions: 1, path: b.jsonl}]"
    (here / "metadataset.yaml").write_text(ENERGON.format(blend=blend))
    assert main(["import", "metadataset.yaml", "-o", "spec.yaml"]) == 0
    assert "how many samples the datasets have is not at hand" in capfd.readouterr().err
    seen = whole_way(capfd, "spec.yaml")
    assert {text: n for text, n in seen.items() if n != {"a": 3, "b": 1}[text[0]]} == {}
    assert seen.total() == 145


def test_a_dataset_card(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "card/data").mkdir(parents=True)
    (here / "card/README.md").write_text(CARD)
    table = pa.table(
        {"body": [f"en {n}" for n in range(70)], "lang": ["en"] * 70, "stars": pa.array(range(70), pa.int32())}
    )
    pq.write_table(table, here / "card/data/en-00000-of-00001.parquet")
    jsonl(here / "card/data/de.jsonl", "de", 30)
    assert main(["import", "card/README.md", "-o", "card/spec.yaml"]) == 0
    seen = whole_way(capfd, "card/spec.yaml")
    assert set(seen.values()) == {1}
    assert len(seen) == 100


def test_croissant(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    jsonl(here / "data/one.jsonl", "one", 20)
    jsonl(here / "data/two.jsonl", "two", 20)
    fields = [
        {
            "@id": f"r/{name}",
            "dataType": "sc:Text",
            "source": {"fileSet": {"@id": "files"}, "extract": {"column": name}},
        }
        for name in ("text", "lang")
    ]
    metadata = {
        "@context": {},
        "name": "both",
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": "files",
                "encodingFormat": "application/jsonlines",
                "includes": "data/*.jsonl",
            }
        ],
        "recordSet": [{"@id": "r", "field": fields}],
    }
    (here / "croissant.json").write_text(json.dumps(metadata))
    assert main(["import", "croissant.json"]) == 0
    streams = capfd.readouterr()
    assert streams.err == ""
    assert "# Everything in it is translated." in streams.out
    (here / "spec.yaml").write_text(streams.out)
    seen = whole_way(capfd, "spec.yaml")
    assert set(seen.values()) == {1}
    assert len(seen) == 40
    assert Plan.open("plan").data.components[0].name == "r"


def test_an_olmo_core_mixture_of_text(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    jsonl(here / "a.jsonl", "a", 20)
    jsonl(here / "b.jsonl", "b", 20)
    (here / "mix.yaml").write_text(
        "sources:\n- {source_name: a, target_ratio: 0.75, paths: [a.jsonl], max_repetition_ratio: 3}\n"
        "- {source_name: b, target_ratio: 0.25, paths: [b.jsonl]}\n"
    )
    assert main(["import", "mix.yaml", "-o", "spec.yaml"]) == 0
    seen = whole_way(capfd, "spec.yaml")
    assert {text[0]: n for text, n in seen.items()} == {"a": 3, "b": 1}


def test_the_words_of_a_megatron_blend_of_text(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    jsonl(here / "a.jsonl", "a", 20)
    jsonl(here / "b.jsonl", "b", 20)
    assert main(["import", "3", "a.jsonl", "1", "b.jsonl", "-o", "spec.yaml", "--content", "text"]) == 0
    seen = whole_way(capfd, "spec.yaml", 400)
    assert sum(n for text, n in seen.items() if text.startswith("a")) in range(296, 305)


def test_a_megatron_blend_of_token_datasets(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, first in (("web_text_document", 100), ("books_text_document", 200)):
        documents = [[first, number] for number in range(40)]
        write_megatron(here / f"{name}.bin", documents, as_documents(documents))
    assert main(["import", "3", "web_text_document", "1", "books_text_document", "-o", "spec.yaml"]) == 0
    assert "not installed" not in (here / "spec.yaml").read_text()
    assert main(["index", "spec.yaml", "--quiet"]) == 0
    capfd.readouterr()
    assert main(["stream", "spec.yaml", "--format", "jsonl", "--limit", "160"]) == 0
    tokens = [json.loads(line)["tokens"] for line in capfd.readouterr().out.splitlines()]
    assert [first for first, _ in tokens].count(100) == 120


def test_an_olmo_core_mixture_of_raw_tokens(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        np.arange(40, dtype="<u4").tofile(here / f"{name}.npy")
        lines = "".join(f"{i},{i + 2},id,src,{i}\n" for i in range(0, 40, 2))
        (here / f"{name}.csv.gz").write_bytes(gzip.compress(lines.encode()))
    (here / "mix.yaml").write_text(
        "dtype: uint32\nsources:\n- {source_name: a, target_ratio: 0.75, paths: [a.npy], max_repetition_ratio: 3}\n"
        "- {source_name: b, target_ratio: 0.25, paths: [b.npy]}\n"
    )
    assert main(["import", "mix.yaml", "-o", "spec.yaml"]) == 0
    assert "format: {name: tokens, dtype: uint32, boundaries: csv}" in (here / "spec.yaml").read_text()
    assert main(["index", "spec.yaml", "--quiet"]) == 0
    capfd.readouterr()
    assert main(["stream", "spec.yaml", "--format", "jsonl", "--limit", "4"]) == 0
    tokens = [json.loads(line)["tokens"] for line in capfd.readouterr().out.splitlines()]
    assert all(second == first + 1 for first, second in tokens)


def test_names_in_braces_are_names_and_no_captures(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    jsonl(here / "in/{lang}/{part}.jsonl", "odd", 20)
    blend = "blend: [{weight: 1, path: './in/{lang}/{part}.jsonl'}]"
    (here / "metadataset.yaml").write_text(ENERGON.format(blend=blend))
    assert main(["import", "metadataset.yaml", "-o", "spec.yaml"]) == 0
    assert "in/[{]lang}/[{]part}.jsonl" in Path("spec.yaml").read_text()
    assert set(whole_way(capfd, "spec.yaml", 20)) == {f"odd {n}" for n in range(20)}
