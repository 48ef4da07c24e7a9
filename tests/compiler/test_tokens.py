"""Plans of tokens from specs, and what is said where one cannot be had."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import mixtera
from mixtera.testing.sequences import rows_of

SPEC = """
version: 1
name: tokens
sources:
  web: {{path: {root}/*.jsonl, content: {content}, properties: {{language: lang}}}}
tokens: {{tokenizer: {tokenizer}, sequence_length: {length}{more}}}
mixture: {mixture}
order: {{chunk_size: 16, lanes: 1, granule: 4}}
"""


def write(root: Path, texts: list[object], languages: str = "ab") -> None:
    lines = [
        json.dumps({"text": text, "title": f"t{n}", "lang": languages[n % len(languages)]})
        for n, text in enumerate(texts)
    ]
    (root / "data.jsonl").write_text("\n".join(lines) + "\n")


def spec(
    root: Path,
    *,
    tokenizer: str = "bytes",
    length: int = 8,
    more: str = "",
    content: str = "text",
    mixture: str = "{by: dataset}",
) -> mixtera.Spec:
    path = root / "spec.yaml"
    values = {"tokenizer": tokenizer, "length": length, "more": more, "content": content, "mixture": mixture}
    path.write_text(SPEC.format(root=root, **values))
    return mixtera.load(str(path))


def compiled(root: Path, **keys: object) -> mixtera.Plan:
    wanted = spec(root, **keys)  # type: ignore[arg-type]
    catalog = mixtera.Catalog.open(str(root / "catalog"))
    catalog.index(wanted)
    return mixtera.compile(wanted, catalog)


def bpe(path: Path, texts: list[str], special: list[str]) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(path))


def without_tokens(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "tokens:" not in line)


def message(error: pytest.ExceptionInfo[Exception]) -> str:
    return str(error.value)


def test_shares_are_of_tokens_and_not_of_documents(tmp_path: Path) -> None:
    write(tmp_path, ["x" * (99 if n % 2 else 9) for n in range(400)])
    components = (
        "{components: [{name: a, where: 'language == \"a\"', weight: 1}, {name: b, weight: 1}], on_exhaust: repeat, "
        "max_epochs: 20}"
    )
    plan = compiled(tmp_path, mixture=components)
    counts = np.bincount(plan.pointers.components(0, 100))
    assert counts.tolist() == [50, 50]
    samples = plan.samples(0, 100).to_pylist()
    short = {part["sample"] for part in samples if part["component"] == "a"}
    long = {part["sample"] for part in samples if part["component"] == "b"}
    assert len(short) > 5 * len(long)


def test_weights_that_count_documents_become_shares_of_tokens(tmp_path: Path) -> None:
    write(tmp_path, ["x" * (99 if n % 2 else 9) for n in range(400)])
    components = "components: [{name: a, where: 'language == \"a\"', weight: 1}, {name: b, weight: 1}]"
    plan = compiled(tmp_path, mixture=f"{{unit: samples, {components}}}")
    weights = [component.weight for component in plan.data.components]
    assert weights[1] / weights[0] == pytest.approx(10.0)


def test_budget_and_schedule_in_tokens(tmp_path: Path) -> None:
    write(tmp_path, ["x" * 50 for _ in range(400)])
    mixture = (
        "{budget: {tokens: 803}, components: [{name: a, where: 'language == \"a\"'}, {name: b}], "
        "schedule: [{at: 0, weights: {a: 1, b: 0}}, {at: 401, weights: {a: 0, b: 1}}]}"
    )
    plan = compiled(tmp_path, mixture=mixture)
    assert len(plan) == 100
    assert plan.pointers.components(0, 100).tolist() == [0] * 51 + [1] * 49


def test_a_catalog_without_counts_says_what_makes_them(tmp_path: Path) -> None:
    write(tmp_path, ["a text"] * 9)
    wanted = spec(tmp_path)
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    plain = tmp_path / "plain.yaml"
    plain.write_text(
        "\n".join(line for line in (tmp_path / "spec.yaml").read_text().splitlines() if "tokens:" not in line)
    )
    catalog.index(mixtera.load(str(plain)))
    with pytest.raises(
        mixtera.CatalogError, match=r"no token counts by this tokenizer: run `mixtera index .*spec.yaml`"
    ):
        mixtera.compile(wanted, catalog)
    catalog.index(wanted)
    catalog.index(mixtera.load(str(plain)))  # which does not ask for counts, and keeps them
    assert len(mixtera.compile(wanted, catalog)) > 0


def test_a_tokenizer_without_eos_where_eos_is_asked(tmp_path: Path) -> None:
    write(tmp_path, ["some text"] * 9)
    bpe(tmp_path / "bare.json", ["some text"], [])
    with pytest.raises(mixtera.SpecError) as error:
        compiled(tmp_path, tokenizer="bare.json")
    assert "spec.yaml:6:1: tokenizer 'bare.json' has no eos token: neither its files nor a usual name say" in message(
        error
    )
    assert len(compiled(tmp_path, tokenizer="bare.json", more=", eos: false")) > 0
    plan = compiled(tmp_path, tokenizer="bare.json", more=", eos: 5")
    assert plan.data.tokens is not None
    assert plan.data.tokens.parameters.eos == 5


def test_a_tokenizer_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path, ["some text"])
    with pytest.raises(mixtera.SpecError, match=r"spec.yaml:6:1: .*missing.json"):
        compiled(tmp_path, tokenizer="missing.json")


def test_another_tokenizer_under_the_same_name_is_refused(tmp_path: Path) -> None:
    texts = [f"text number {n} of many" for n in range(60)]
    write(tmp_path, list(texts))
    bpe(tmp_path / "bpe.json", texts, ["<|endoftext|>"])
    plan = compiled(tmp_path, tokenizer="bpe.json")
    whole = rows_of(plan.stream(batch_size=1))
    assert len(whole) == len(plan)
    bpe(tmp_path / "bpe.json", [text[::-1] for text in texts], ["<|endoftext|>"])
    with pytest.raises(mixtera.PlanError, match="is not the one that the plan was compiled with"):
        next(plan.stream(batch_size=1))
    with pytest.raises(mixtera.CatalogError, match="no token counts by this tokenizer"):
        mixtera.compile(spec(tmp_path, tokenizer="bpe.json"), mixtera.Catalog.open(str(tmp_path / "catalog")))


def test_a_text_that_changed_in_place_is_noticed(tmp_path: Path) -> None:
    import os

    write(tmp_path, ["twelve bytes"] * 20)
    plan = compiled(tmp_path)
    path = tmp_path / "data.jsonl"
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"twelve bytes", b"twelve \\n te"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(mixtera.SampleError, match=r"web/data.jsonl#\d+ has 12 tokens, and 13 were counted"):
        list(plan.stream(batch_size=1))


@pytest.mark.parametrize(("size", "sequences"), [(7, 0), (8, 1), (9, 1), (15, 1), (16, 2)])
def test_the_tail_that_fills_no_sequence_is_not_delivered(size: int, sequences: int, tmp_path: Path) -> None:
    """One document of `size` bytes and an eos; a row takes 8 and one more for the label."""
    write(tmp_path, ["x" * size])
    if not sequences:
        with pytest.raises(mixtera.SpecError, match=r"its 1 samples have 8 tokens, and a sequence takes 9"):
            compiled(tmp_path)
        return
    rows = rows_of(compiled(tmp_path).stream(batch_size=1))
    document = [ord("x")] * size + [256]
    assert rows == [tuple(document[n * 8 : n * 8 + 9]) for n in range(sequences)]


def test_empty_documents_have_no_tokens_and_no_place(tmp_path: Path) -> None:
    write(tmp_path, ["", "abc", "", "defg", "", "hijklmnopqrs"])
    plan = compiled(tmp_path, length=4)
    delivered = {part["row"] for part in plan.samples(0, len(plan)).to_pylist()}
    assert delivered <= {1, 3, 5}
    assert [plan.locate(plan.sample_id("web", "data.jsonl", row)) for row in (0, 2, 4)] == [[], [], []]


def test_a_long_document_is_cut_into_rows_and_read_once(tmp_path: Path) -> None:
    write(tmp_path, ["y" * 2_000_000, *["x" * 30] * 50])
    plan = compiled(tmp_path, length=1024, mixture="{by: dataset}")
    rows = rows_of(plan.stream(batch_size=4))
    assert len(rows) == len(plan) // 4 * 4
    assert sum(row.count(ord("y")) for row in rows) >= 1_998_000


def test_invalid_utf_8_is_named_and_bytes_take_it(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {"text": pa.array([b"good text here", b"\xff\xfe bad \x80"] * 10, pa.binary()), "lang": ["a"] * 20}
    )
    pq.write_table(table, tmp_path / "data.parquet")
    bpe(tmp_path / "bpe.json", ["good text here"], ["<eos>"])
    path = tmp_path / "spec.yaml"
    text = SPEC.format(root=tmp_path, tokenizer="bpe.json", length=8, more="", content="text", mixture="{by: dataset}")
    path.write_text(text.replace("*.jsonl", "*.parquet"))
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    with pytest.raises(mixtera.SampleError, match="not UTF-8"):
        catalog.index(mixtera.load(str(path)))
    path.write_text(text.replace("*.jsonl", "*.parquet").replace("bpe.json", "bytes"))
    wanted = mixtera.load(str(path))
    catalog.index(wanted)
    assert len(rows_of(mixtera.compile(wanted, catalog).stream(batch_size=1))) > 0


def test_content_that_is_no_text(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": [1, 2, 3], "lang": ["a"] * 3}), tmp_path / "data.parquet")
    path = tmp_path / "spec.yaml"
    text = SPEC.format(root=tmp_path, tokenizer="bytes", length=8, more="", content="text", mixture="{by: dataset}")
    path.write_text(text.replace("*.jsonl", "*.parquet"))
    with pytest.raises(mixtera.MixteraError, match="int64"):
        mixtera.Catalog.open(str(tmp_path / "catalog")).index(mixtera.load(str(path)))


def test_a_template_joins_columns_in_counts_and_in_rows(tmp_path: Path) -> None:
    write(tmp_path, [f"body {n}" for n in range(40)])
    more = ', template: "<{title}> {text}"'
    plan = compiled(tmp_path, content="{title: title, text: text}", more=more)
    parts = plan.samples(0, len(plan)).to_pylist()
    for part, row in zip(parts[:1], plan.stream(batch_size=1), strict=False):
        text = f"<t{part['row']}> body {part['row']}"
        wanted = [*text.encode(), 256][part["first_token"] : part["last_token"]]
        assert row["tokens"].to_pylist()[0][: len(wanted)] == wanted


def test_a_document_a_row_is_padded_and_cut(tmp_path: Path) -> None:
    write(tmp_path, ["abc", "defghijklmnopqrstuvw", "", "x"])
    plan = compiled(tmp_path, more=", packing: none")
    assert len(plan) == 4
    for batch in plan.stream(batch_size=1):
        (row,) = batch.to_pylist()
        (part,) = plan.data.files.column("name").to_pylist()
        assert part == "data.jsonl"
        text = [*b"defghijklmnopqrstuvw", 256] if row["tokens"][0] == ord("d") else None
        assert row["length"] in (4, 9, 0, 2)
        assert row["tokens"][row["length"] :] == [256] * (9 - row["length"])
        if text:
            assert row["tokens"] == text[:9]


def test_a_plan_of_samples_knows_nothing_of_tokens(tmp_path: Path) -> None:
    write(tmp_path, ["abc"] * 5)
    path = tmp_path / "plain.yaml"
    spec(tmp_path)
    path.write_text(without_tokens((tmp_path / "spec.yaml").read_text()))
    wanted = mixtera.load(str(path))
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    catalog.index(wanted)
    plan = mixtera.compile(wanted, catalog)
    assert plan.data.tokens is None
    assert not plan.data.packs
