"""What docs/reference/spec.md says is tried."""

import re
from pathlib import Path

import pytest

from mixtera.spec import Listed, check_types, load, parse_predicate
from mixtera.spec.typing import columns
from tests.spec.samples import write

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "spec.md").read_text()
WHOLE, SOURCE, SCHEDULE, TOKENS, BOTH, HOLDOUT, EXCLUDE, STORAGE = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = re.findall(r"^\| [^|]+ \| [^|]+ \| `([^`]+)`[^|]*\|$", PAGE[PAGE.index("## Predicates") :], re.MULTILINE)
TYPES = {"year": "int64", "topics": "list<string>", "spam": "bool", "crawled": "date"}


def test_the_example_is_right(tmp_path: Path) -> None:
    spec = load(write(tmp_path, WHOLE))
    assert [source.format for source in spec.sources] == ["jsonl", "parquet"]


def test_the_source_is_right(tmp_path: Path) -> None:
    indented = "".join(f"  {line}\n" for line in SOURCE.splitlines())
    spec = load(write(tmp_path, f"version: 1\nsources:\n{indented}mixture: {{by: dataset}}\n"))
    assert spec.sources[0].on_bad_sample.policy == "skip"


def test_the_schedule_is_right(tmp_path: Path) -> None:
    head = WHOLE[: WHOLE.index("filter:")]
    indented = "".join(f"  {line}\n" for line in SCHEDULE.splitlines())
    parts = load(write(tmp_path, f"{head}mixture:\n{indented}")).mixture.parts
    assert isinstance(parts, Listed)
    assert [(change.at, change.until) for change in parts.schedule] == [
        (0, None),
        (200_000, 400_000),
        (576_000, None),
        (900_000, 1_000_000),
    ]


def test_the_split_and_the_exclusions_are_right(tmp_path: Path) -> None:
    head = WHOLE.replace("source: meta.pile_set_name", "author: meta.author\n      document_id: meta.id")
    tail = head[head.index("filter:") : head.index("order:")].replace("source in", "author in")
    spec = load(write(tmp_path, head[: head.index("filter:")] + tail + HOLDOUT + EXCLUDE))
    assert spec.holdout is not None
    assert (spec.holdout.fraction, spec.holdout.by, spec.holdout.part) == (0.01, "document_id", "train")
    assert [exclusion.columns for exclusion in spec.exclude] == [(), (("author", "name"),)]


def test_the_tokens_are_right(tmp_path: Path) -> None:
    tokens = load(write(tmp_path, WHOLE + TOKENS)).tokens
    assert tokens is not None
    assert tokens.sequence_length == 2048


def test_the_options_of_storages_are_right(tmp_path: Path) -> None:
    storage = load(write(tmp_path, WHOLE + STORAGE)).sources[0].storage
    assert [name for name, _ in storage] == ["s3", "s3://public-corpus/", "lustre"]
    assert dict(storage)["lustre"] == (("stripe_bytes", 4 << 20),)


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_predicates_are_right(text: str) -> None:
    predicate = parse_predicate(text)
    kinds = {name: TYPES.get(name, "string") for name in columns(predicate)}
    assert check_types(predicate, kinds)[1] == []  # type: ignore[arg-type]


def test_there_is_an_example_of_each_form() -> None:
    assert len(EXAMPLES) == 8


def test_the_example_of_different_things_is_right(tmp_path: Path) -> None:
    sources = """sources:
  web: {path: web.jsonl, content: text}
  pictures: {path: pictures.tar, content: {image: jpg, caption: txt}}
"""
    spec = load(write(tmp_path, f"version: 1\n{sources}{TOKENS}{BOTH}"))
    assert spec.group == 256
    assert isinstance(spec.mixture.parts, Listed)
    assert [component.deliver for component in spec.mixture.parts.components] == [(), ("image", "caption")]
