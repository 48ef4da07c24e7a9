"""The commands over plans of tokens: taking over in mid-run, locks, differences, and documents that never come."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

import mixtera
from mixtera.lockfile import Lock
from tests.cli.conftest import Run

SPEC = """version: 1
name: {name}
sources:
  notes: {{path: notes/*.jsonl, content: text, properties: {{language: lang}}}}
tokens: {{tokenizer: {tokenizer}, sequence_length: {length}, {more}}}
mixture:
  components:
    - {{name: en, where: {{language: en}}, weight: {weight}}}
    - {{name: rest, weight: 1}}
  on_exhaust: redistribute
order: {{seed: {seed}, chunk_size: 16, lanes: {lanes}, granule: 4}}
"""
DEFAULTS = {"tokenizer": "bytes", "length": 24, "more": "label_shift: false", "weight": 3, "seed": 1, "lanes": 2}


def write(name: str, extra: str = "", **changed: object) -> str:
    """Write a spec; returns its path."""
    Path(f"{name}.yaml").write_text(SPEC.format(name=name, **(DEFAULTS | changed)) + extra)
    return f"{name}.yaml"


def save_tokenizer(words: int) -> None:
    """A tokenizer of whole words, that knows so many of them."""
    vocabulary = {word: number for number, word in enumerate(["</s>", "?", *(f"w{n}" for n in range(words))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["</s>"])
    tokenizer.save("words.json")


@pytest.fixture
def notes(run: Run) -> Run:
    """The corpus of the commands' tests, with short notes beside it."""
    Path("notes").mkdir()
    for part in range(2):
        rows = range(part * 120, (part + 1) * 120)
        texts = ["" if row % 40 == 7 else " ".join(f"w{row * k % 50}" for k in range(1 + row * 7 % 12)) for row in rows]
        lines = [json.dumps({"text": text, "lang": ("en", "de")[n % 2]}) for n, text in enumerate(texts)]
        Path(f"notes/part-{part}.jsonl").write_text("\n".join(lines) + "\n")
    return run


def compiled(run: Run, name: str, *words: str, extra: str = "", **changed: object) -> mixtera.Plan:
    path = write(name, extra, **changed)
    for command in (["index", path, "--quiet"], ["compile", path, "-o", f"plans/{name}", *words]):
        code, _, err = run(*command)
        assert code == 0, err
    return mixtera.Plan.open(f"plans/{name}")


def rows_of(plan: mixtera.Plan, start: int, stop: int) -> list[tuple[int, ...]]:
    batches = plan.stream(batch_size=1, start=start)
    return [tuple(batch["tokens"][0].as_py()) for _, batch in zip(range(start, stop), batches, strict=False)]


def test_a_run_goes_on_with_other_weights_and_delivers_the_same_rows(notes: Run) -> None:
    first = compiled(notes, "first")
    Path("state.json").write_text(json.dumps(first.stream(batch_size=4, start=100).state_dict()))
    write("second", weight=1)
    notes("index", "second.yaml", "--quiet")
    code, _, err = notes("compile", "second.yaml", "-o", "plans/second", "--continue-from", "state.json")
    assert code == 0, err
    assert "takes over at position 100:\n  en: goes on (" in err
    assert "documents of this epoch so far)" in err
    second = mixtera.Plan.open("plans/second")
    assert (second.start, second.end) == (100, first.end)
    code, out, _ = notes("explain", "plans/second")
    assert code == 0
    assert "goes on where it stood" in out
    assert first.end is not None
    whole, before = rows_of(first, 0, first.end), rows_of(first, 0, 100)
    assert Counter(before + rows_of(second, 100, first.end)) == Counter(whole)


def test_another_length_is_a_change_of_every_component(notes: Run) -> None:
    first = compiled(notes, "first")
    path = write("second", length=40)
    code, _, err = notes("compile", path, "-o", "plans/second", "--continue-from", "plans/first@100")
    assert code == 0, err
    assert "  en: changed, without what was delivered (" in err
    second = mixtera.Plan.open("plans/second")
    before, after = (
        set(plan.samples(*span)["sample"].to_pylist())
        for plan, span in ((first, (0, 100)), (second, (100, second.end or 0)))
    )
    assert not before & after


def test_from_samples_to_sequences_is_refused(notes: Run) -> None:
    text = SPEC.format(name="plain", **DEFAULTS)
    Path("plain.yaml").write_text("\n".join(line for line in text.splitlines() if not line.startswith("tokens:")))
    for words in (["index", "plain.yaml"], ["compile", "plain.yaml", "-o", "plans/plain"]):
        assert notes(*words)[0] == 0
    path = write("second")
    notes("index", path)
    code, _, err = notes("compile", path, "-o", "plans/second", "--continue-from", "plans/plain@40")
    assert code == 1
    assert "positions of the plan 'plain' are samples, and those of 'second' are sequences of tokens" in err
    assert "give both specs the same `packing`" in err
    assert not Path("plans/second").exists()


def test_a_lock_pins_the_tokenizer(notes: Run) -> None:
    save_tokenizer(50)
    path = write("locked", tokenizer="words.json", more='eos: "</s>"', length=16)
    notes("index", path)
    code, _, err = notes("lock", path)
    assert code == 0, err
    lines = Path("locked.yaml.lock").read_text().splitlines()
    lock = Lock.open("locked.yaml.lock")
    assert lock.body.tokens is not None
    assert ' "tokens": {' in lines
    assert f'  "fingerprint": "{lock.body.tokens.fingerprint}",' in lines
    assert '  "sequence_length": 16,' in lines
    assert any(line.startswith('   {"documents": 120, "name": "en", "tokens": ') for line in lines)
    assert notes("lock", "--check", path)[0] == 0

    save_tokenizer(40)
    code, out, err = notes("lock", "--check", path)
    assert code == 1
    assert out.startswith("tokens\n  ~ tokenizer fingerprint sha256:")
    assert "  ~ vocab_size 52 → 42" in out.splitlines()
    assert "nothing is counted by its tokenizer yet; `mixtera index locked.yaml; mixtera lock locked.yaml`" in err
    code, out, _ = notes("lock", "--check", "--json", path)
    assert (code, json.loads(out)["uncounted"]) == (1, True)

    notes("index", path)
    code, out, _ = notes("lock", "--check", path)
    assert code == 1
    assert "tokens" in out.splitlines()
    assert "~ tokenizer fingerprint" in out
    code, _, err = notes("compile", path, "-o", "plans/locked")
    assert code == 1
    assert "does not compile to what locked.yaml.lock says" in err
    assert "~ tokenizer fingerprint" in err
    assert notes("lock", path)[0] == notes("lock", "--check", path)[0] == 0


def test_a_lock_shows_other_token_parameters_and_counts(notes: Run) -> None:
    path = write("locked")
    notes("index", path)
    notes("lock", path)
    write("locked", length=32, more="label_shift: false, bos: true")
    code, out, _ = notes("lock", "--check", path)
    assert code == 1
    lines = out.splitlines()
    assert {"tokens", "  ~ sequence_length 24 → 32", "  ~ bos none → 257"} <= set(lines)
    assert any(line.startswith("  ~ tokens of en ") for line in lines)
    assert any(line.startswith("  ~ en  sequences ") for line in lines)


def test_a_lock_of_samples_says_nothing_of_tokens(notes: Run) -> None:
    notes("lock", "mixed.yaml")
    assert "tokens" not in Path("mixed.yaml.lock").read_text()


def test_diff_says_what_changes_in_tokens_and_from_which_sequence(notes: Run) -> None:
    compiled(notes, "first")
    compiled(notes, "second", more="label_shift: false, overlap: 2", length=25)
    code, out, _ = notes("diff", "plans/first", "plans/second", "--batch", "8")
    assert code == 0
    blocks = {block.splitlines()[0]: block for block in out.split("\n\n")}
    assert "sequence_length" in blocks["Tokens"]
    assert "overlap" in blocks["Tokens"]
    assert "The first difference is at position 0 (step 0)" in blocks["From which step"]
    assert " tokens 0 … 24  en" in blocks["From which step"]
    assert " tokens 0 … 25  en" in blocks["From which step"]
    code, out, _ = notes("diff", "plans/first", "plans/second", "--json")
    found = json.loads(out)["divergence"]
    assert found["before"]["first_token"] == found["after"]["first_token"] == 0
    assert found["before"]["sample"] == found["after"]["sample"]


def test_diff_of_tokenizers(notes: Run) -> None:
    save_tokenizer(50)
    compiled(notes, "first", tokenizer="words.json", more='eos: "</s>"')
    Path("words.json").rename("others.json")
    save_tokenizer(40)
    compiled(notes, "second", tokenizer="words.json", more='eos: "</s>"')
    out = notes("diff", "plans/first", "plans/second")[1]
    assert "tokenizer fingerprint" in out
    assert "The first difference is at position 0" in out  # the same parts of the same documents
    assert "the same part of the same documents, made of other tokens" in out
    found = json.loads(notes("diff", "plans/first", "plans/second", "--json")[1])
    assert found["divergence"]["before"] == found["divergence"]["after"]


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ("notes/part-0.jsonl#7", "it is of component rest, and has no tokens"),
        ("notes/part-0.jsonl#9", "it is of component rest, and a list under `exclude` names it"),
    ],
)
def test_why_a_document_never_comes(notes: Run, sample: str, words: str) -> None:
    plan = compiled(notes, "first")
    Path("gone.csv").write_text(f"sample\n{plan.sample_id('notes', 'part-0.jsonl', 9)}\n")
    compiled(notes, "second", extra="exclude: gone.csv\n")
    code, out, err = notes("ledger", "plans/second", "--sample", sample)
    assert code == 0, err
    assert out == f"{sample} is never delivered: {words}\n"


def test_the_tail_fills_no_sequence_and_the_budget_ends_before(notes: Run) -> None:
    plan = compiled(notes, "first", length=90)
    seen = set(plan.samples(0, len(plan))["sample"].to_pylist())
    budget = SPEC.replace("  on_exhaust: redistribute", "  on_exhaust: redistribute\n  budget: {{samples: 20}}")
    Path("few.yaml").write_text(budget.format(name="few", **DEFAULTS))
    notes("compile", "few.yaml", "-o", "plans/few")
    told: Counter[str] = Counter()
    for part in range(2):
        for row in range(120):
            sample = plan.sample_id("notes", f"part-{part}.jsonl", row)
            name = f"notes/part-{part}.jsonl#{row}"
            if sample not in seen and row % 40 != 7:
                out = notes("ledger", "plans/first", "--sample", name)[1]
                assert "tokens of it: they fill no sequence of 90" in out
                told["tail"] += 1
    assert told["tail"] > 0
    few = mixtera.Plan.open("plans/few")
    held = set(few.samples(0, 20)["sample"].to_pylist())
    late = next(
        row for row in range(0, 120, 2) if plan.sample_id("notes", "part-1.jsonl", row) not in held and row % 40 != 7
    )
    out = notes("ledger", "plans/few", "--sample", f"notes/part-1.jsonl#{late}")[1]
    assert "it would begin in sequence " in out
    assert "of component en, and the plan ends after 15 of that component" in out


def test_what_an_earlier_plan_has_delivered(notes: Run) -> None:
    first = compiled(notes, "first")
    second = compiled(notes, "second", "--continue-from", "plans/first@100", weight=1)
    third = compiled(notes, "third", "--continue-from", "plans/second@130", seed=2)
    assert second.data.facts["continues"]["components"][0]["fate"] == "goes on"
    assert third.data.facts["continues"]["components"][0]["fate"] == "changed"
    sample = first.samples(0, 1)["sample"][0].as_py()
    row, file = sample & ((1 << 31) - 1), first.samples(0, 1)["file"][0].as_py()
    for name, begin in (("second", 100), ("third", 130)):
        code, out, err = notes("ledger", f"plans/{name}", "--sample", f"notes/{file}#{row}")
        assert code == 0, err
        assert f"was delivered, or a part of it, before position {begin}, where this plan takes over" in out


def test_without_an_end_only_what_has_tokens_may_come(notes: Run) -> None:
    Path("endless.yaml").write_text(SPEC.replace("redistribute", "repeat").format(name="endless", **DEFAULTS))
    assert notes("compile", "endless.yaml", "-o", "plans/endless")[0] == 1  # not indexed yet
    notes("index", "endless.yaml")
    assert notes("compile", "endless.yaml", "-o", "plans/endless")[0] == 0
    empty = notes("ledger", "plans/endless", "--sample", "notes/part-0.jsonl#7", "--until", "5")[1]
    assert "is never delivered: it is of component rest, and has no tokens" in empty
    plan = mixtera.Plan.open("plans/endless")
    late = next(
        row for row in range(10, 30, 2) if not plan.locate(plan.sample_id("notes", "part-0.jsonl", row), stop=1)
    )
    out = notes("ledger", "plans/endless", "--sample", f"notes/part-0.jsonl#{late}", "--until", "1")[1]
    assert out == f"notes/part-0.jsonl#{late} is not delivered before position 1\n"
