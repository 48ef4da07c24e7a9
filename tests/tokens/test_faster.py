"""`encoder: fastokens`: the same ids, or an error that says so."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixtera
from mixtera.errors import SpecError, TokenizerError
from mixtera.tokens.tokenizers import open_tokenizer
from tests.forks import status_in_a_child

tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("fastokens")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE, trained on this project's own sources."""
    directory = tmp_path_factory.mktemp("encoder")
    texts = [path.read_text() for path in sorted((Path(__file__).parents[2] / "mixtera").rglob("*.py"))[:120]]
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=3000, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    model.train_from_iterator(texts, trainer)
    model.save(str(directory / "bpe.json"))
    return directory


def both(directory: Path, name: str = "bpe.json"):
    return open_tokenizer(name, directory), open_tokenizer(name, directory, encoder="fastokens")


def test_the_ids_of_a_corpus_are_the_same(directory: Path) -> None:
    plain, fast = both(directory)
    texts = [path.read_text() for path in sorted((Path(__file__).parents[2]).glob("docs/**/*.md"))]
    column = pa.array([*texts, None, "", "<|endoftext|>in the middle<|endoftext|>", "日本語 🙂"])
    one, other = plain.encode(column), fast.encode(column)
    assert one.tokens.tolist() == other.tokens.tolist()
    assert one.offsets.tolist() == other.offsets.tolist()
    assert fast.count(column).tolist() == plain.count(column).tolist()
    assert other.tokens.dtype == one.tokens.dtype
    some = one.tokens[:50].tolist()
    assert fast.decode(some) == plain.decode(some)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=5))
def test_the_ids_of_any_text_are_the_same(directory: Path, texts: list[str]) -> None:
    plain, fast = both_once(directory)
    column = pa.array(texts, pa.string())
    assert fast.encode(column).tokens.tolist() == plain.encode(column).tokens.tolist()
    assert fast.encode(column).offsets.tolist() == plain.encode(column).offsets.tolist()


_KEPT: dict[Path, tuple[object, object]] = {}


def both_once(directory: Path):
    if directory not in _KEPT:
        _KEPT[directory] = both(directory)
    return _KEPT[directory]


def test_the_fingerprint_is_that_of_the_tokenizer(directory: Path) -> None:
    plain, fast = both(directory)
    assert (plain.fingerprint, plain.vocab_size, plain.eos) == (fast.fingerprint, fast.vocab_size, fast.eos)


def test_it_works_in_forked_processes(directory: Path) -> None:
    _, fast = both(directory)
    column = pa.array(["def f(x):\n    return x\n" * 50] * 40)
    wanted = fast.encode(column).tokens.tolist()
    assert status_in_a_child(lambda: fast.encode(column).tokens.tolist() == wanted) == 0


def test_a_tokenizer_that_it_gives_other_ids_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another tokenizer.json under the encoder stands for an encoder that is wrong about one."""
    import fastokens

    parsed = json.loads((directory / "bpe.json").read_text())
    parsed["model"]["merges"] = parsed["model"]["merges"][:-900]
    wrong = fastokens.Tokenizer.from_json_str(json.dumps(parsed))
    monkeypatch.setattr(fastokens, "Tokenizer", type("Other", (), {"from_json_str": lambda text: wrong}))
    with pytest.raises(TokenizerError, match=r"'fastokens' gives other ids than the tokenizer 'bpe.json' has: .*"):
        open_tokenizer("bpe.json", directory, encoder="fastokens")


def test_other_kinds_have_no_choice(tmp_path: Path) -> None:
    with pytest.raises(
        TokenizerError, match=r"encoder 'fastokens' goes with a tokenizer.json, and the tokenizer 'bytes'"
    ):
        open_tokenizer("bytes", tmp_path, encoder="fastokens")


def test_what_it_cannot_open_is_named(tmp_path: Path) -> None:
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "words.json"))
    with pytest.raises(TokenizerError, match=r"encoder 'fastokens' .*leave `encoder` out"):
        open_tokenizer("words.json", tmp_path, encoder="fastokens")


def test_a_plan_is_the_same_with_any_encoder(directory: Path) -> None:
    (directory / "a.jsonl").write_text(
        "".join(json.dumps({"text": f"{n} def f(): " * (n % 9)}) + "\n" for n in range(99))
    )
    plans = []
    for name, more in (("plain", ""), ("named", ", encoder: tokenizers"), ("fast", ", encoder: fastokens")):
        path = directory / f"{name}.yaml"
        path.write_text(
            "version: 1\nname: one\nsources: {a: {path: a.jsonl, content: text}}\n"
            f"tokens: {{tokenizer: bpe.json, sequence_length: 16{more}}}\nmixture: {{by: dataset}}\n"
        )
        spec, catalog = mixtera.load(path), mixtera.Catalog.open(str(directory / "catalog"))
        catalog.index(spec)
        plans.append(mixtera.compile(spec, catalog))
    assert len({plan.digest for plan in plans}) == 1
    rows = [[row for batch in plan.stream(batch_size=1) for row in batch["tokens"].to_pylist()] for plan in plans]
    assert rows[0] == rows[1] == rows[2]


def test_an_encoder_of_another_name(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        "version: 1\nsources: {a: {path: a.jsonl, content: text}}\n"
        "tokens: {tokenizer: bytes, sequence_length: 16, encoder: fasttokens}\nmixture: {by: dataset}\n"
    )
    with pytest.raises(SpecError, match=r"encoder: .*fasttokens.* is not allowed; did you mean 'fastokens'"):
        mixtera.load(tmp_path / "one.yaml")
