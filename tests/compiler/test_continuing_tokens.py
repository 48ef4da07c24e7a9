"""A plan of tokens that takes over from another in mid-run: no token twice, none lost but those of cut documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mixtera.compiler.stop import Stop
from mixtera.contracts.tokenizer import Tokenizer
from mixtera.errors import PlanError, SpecError
from mixtera.plan import Plan
from mixtera.testing.catalog import MadeFile, MadeSource
from mixtera.tokens import parameters as module
from tests.compiler.token_plans import (
    BOOKS,
    EMPTY,
    FIRST,
    GROWN,
    SECOND,
    SHIFTED,
    TOKENS,
    Row,
    counts_of,
    documents,
    fates,
    made,
    positions_of,
    rows_of,
    source,
    tokens_of,
)

STOPS = (0, 1, 64, 192, 200, 777, 1300)
NAMES = ("english", "other", "books")


@pytest.mark.parametrize("tokens", [TOKENS, SHIFTED])
@pytest.mark.parametrize("position", STOPS)
def test_what_is_unchanged_goes_on_where_it_stood(tmp_path: Path, position: int, tokens: str) -> None:
    old = made(tmp_path, FIRST, tokens=tokens)
    new = made(tmp_path, FIRST.replace("weight: 5", "weight: 1"), stop=Stop(old, position), tokens=tokens)
    assert set(fates(new).values()) == {"goes on"}
    assert (new.start, new.end, len(new)) == (position, len(old), len(old) - position)
    for component in NAMES:
        whole, before, after = (
            Counter(rows_of(*asked, component=component)) for asked in ((old,), (old, 0, position), (new,))
        )
        assert before + after == whole


@pytest.mark.parametrize("tokens", [TOKENS, SHIFTED])
@pytest.mark.parametrize("position", STOPS)
def test_in_one_lane_it_goes_on_in_its_order(tmp_path: Path, position: int, tokens: str) -> None:
    text = FIRST.replace("lanes: 3", "lanes: 1")
    old = made(tmp_path, text, tokens=tokens)
    new = made(tmp_path, text.replace("weight: 5", "weight: 1"), stop=Stop(old, position), tokens=tokens)
    for component in NAMES:
        before, after = rows_of(old, 0, position, component), rows_of(new, component=component)
        assert before + after == rows_of(old, component=component)


@pytest.mark.parametrize("lanes", [1, 3])
def test_through_epochs_it_goes_on_as_without_the_stop(tmp_path: Path, lanes: int) -> None:
    """Also where the run is stopped a second time, and `max_epochs` end it at the same sequence."""
    text = FIRST.replace("on_exhaust: redistribute", "max_epochs: 3.3").replace("lanes: 3", f"lanes: {lanes}")
    text = text.replace("max_epochs", "on_exhaust: repeat\n  max_epochs")
    text = text.replace("on_exhaust: repeat", "on_exhaust: redistribute")
    old = made(tmp_path, text, tokens=SHIFTED)
    first, second = 1000, 2600
    new = made(tmp_path, text.replace("weight: 3", "weight: 7"), stop=Stop(old, first), tokens=SHIFTED)
    again = made(tmp_path, text.replace("weight: 2", "weight: 9"), stop=Stop(new, second), tokens=SHIFTED)
    assert again.end == old.end
    for component in NAMES:
        parts = [rows_of(*asked, component=component) for asked in ((old, 0, first), (new, first, second), (again,))]
        whole = rows_of(old, component=component)
        joined = [row for part in parts for row in part]
        assert joined == whole if lanes == 1 else Counter(joined) == Counter(whole)


@pytest.mark.parametrize("position", [1, 500, 1100])
def test_changed_components_leave_out_the_documents_that_were_delivered(tmp_path: Path, position: int) -> None:
    old = made(tmp_path, FIRST)
    new = made(tmp_path, SECOND, (GROWN, BOOKS), stop=Stop(old, position))
    assert fates(new) == {"recent": "new", "english": "changed", "books": "changed", "more": "new"}
    assert new.data.facts["continues"]["gone"] == ["other"]
    before, after = rows_of(old, 0, position), rows_of(new)
    assert not documents(before) & documents(after)
    assert set(tokens_of(after).values()) == {1}
    for component in ("recent", "english", "books", "more"):
        counts = counts_of(new, component)
        mine = tokens_of(rows_of(new, component=component))
        wanted = sum(count for sample, count in counts.items() if sample not in documents(before))
        assert 0 <= wanted - mine.total() < 24


def test_a_cut_document_is_the_only_thing_that_is_lost(tmp_path: Path) -> None:
    """In one lane: one document of each component."""
    old = made(tmp_path, FIRST.replace("lanes: 3", "lanes: 1"))
    new = made(tmp_path, FIRST.replace("seed: 3", "seed: 4"), stop=Stop(old, 700))
    assert set(fates(new).values()) == {"changed"}
    for component in NAMES:
        before, counts = rows_of(old, 0, 700, component), counts_of(old, component)
        partly = Counter(sample for sample, _ in tokens_of(before))
        cut = {sample for sample, held in partly.items() if held < counts[sample]}
        assert len(cut) <= 1
        after = rows_of(new, component=component)
        assert not documents(after) & set(partly)


def flat(rows: Sequence[Row]) -> list[tuple[int, int]]:
    return [(sample, token) for row in rows for sample, first, last in row for token in range(first, last)]


@pytest.mark.parametrize("position", [2400, 3100, 3333])
def test_from_the_next_epoch_on_everything_is_delivered_again(tmp_path: Path, position: int) -> None:
    text = FIRST.replace("redistribute", "repeat").replace("weight: 5", "weight: 50").replace("lanes: 3", "lanes: 1")
    old = made(tmp_path, text)
    new = made(tmp_path, text.replace('language == "en"', 'language != "de"'), stop=Stop(old, position))
    held = flat(rows_of(old, 0, position, "english"))
    epochs, rest = divmod(len(held), sum(counts_of(old, "english").values()))
    assert epochs > 1
    counts = counts_of(new, "english")
    gone = {sample for sample, _ in held[len(held) - rest :]}
    gone |= documents(rows_of(old, 0, position, "other")) & set(counts)  # what was french there
    told = {one["name"]: one for one in new.data.facts["continues"]["components"]}["english"]
    assert (told["fate"], told["delivered"]) == ("changed", len(gone))
    left = sum(count for sample, count in counts.items() if sample not in gone)
    found = flat(rows_of(new, position, position + 6000, "english"))
    everything = {(sample, token) for sample, count in counts.items() for token in range(count)}
    assert set(found[:left]) == {one for one in everything if one[0] not in gone}
    assert set(found[left : left + len(everything)]) == everything
    assert len(found) > left + len(everything)


def test_max_epochs_count_the_tokens_that_were_delivered_before(tmp_path: Path) -> None:
    text = FIRST.replace("weight: 5}", "weight: 5, on_exhaust: repeat, max_epochs: 2.5}").replace(
        "lanes: 3", "lanes: 1"
    )
    old = made(tmp_path, text)
    tokens = sum(counts_of(old, "english").values())
    for position in (100, 800, 1300):
        new = made(tmp_path, text.replace("seed: 3", "seed: 5"), stop=Stop(old, position))
        assert fates(new)["english"] == "changed"
        before, after = (tokens_of(rows_of(*asked, component="english")) for asked in ((old, 0, position), (new,)))
        longest = max(counts_of(old, "english").values())
        assert 0 <= int(2.5 * tokens) - before.total() - after.total() <= longest + 24
        assert max((before + after).values()) <= 3


def test_another_length_or_tokenizer_changes_every_component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = made(tmp_path, FIRST)
    before = rows_of(old, 0, 700)
    others = {
        "length": TOKENS.replace("24", "57"),
        "overlap": TOKENS.replace("label_shift", "overlap: 3, label_shift"),
        "bos": TOKENS.replace("label_shift", "bos: true, label_shift"),
        "longest": TOKENS.replace("label_shift", "max_document_tokens: 30, label_shift"),
    }
    for tokens in others.values():
        new = made(tmp_path, FIRST, stop=Stop(old, 700), tokens=tokens)
        assert set(fates(new).values()) == {"changed"}
        assert not documents(before) & documents(rows_of(new))
        assert new.start == 700
    opened = module.open_tokenizer

    def moved(*words: object, **more: object) -> Tokenizer:
        return _Moved(opened(*words, **more))  # type: ignore[arg-type,return-value]

    monkeypatch.setattr(module, "open_tokenizer", moved)
    new = made(tmp_path, FIRST, stop=Stop(old, 700))
    assert set(fates(new).values()) == {"changed"}


class _Moved:
    """A tokenizer that is not what it was."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.fingerprint = "sha256:" + "0" * 64

    def __getattr__(self, name: str) -> object:
        return getattr(self._tokenizer, name)


def test_positions_samples_and_locate_agree(tmp_path: Path) -> None:
    old = made(tmp_path, FIRST, tokens=SHIFTED)
    text = FIRST.replace("weight: 5", "weight: 1").replace("{name: books", "{name: books, where: year != 2003")
    new = made(tmp_path, text, stop=Stop(old, 700), tokens=SHIFTED)
    new.save(str(tmp_path / "plan"))
    again = Plan.open(str(tmp_path / "plan"))
    assert again.digest == new.digest
    table = again.samples(700, again.end or 0).to_pylist()
    assert [(row["sample"], row["position"]) for row in table] == [
        (row["sample"], row["position"]) for row in new.samples(700, again.end or 0).to_pylist()
    ]
    where: dict[int, list[int]] = {}
    for part in table:
        where.setdefault(part["sample"], []).append(part["position"])
    delivered = documents(rows_of(old, 0, 700))
    asked = [*list(where)[::37], *sorted(delivered)[::41], *sorted(set(where) & delivered)]
    for sample in asked:
        assert again.locate(sample) == sorted(set(where.get(sample, [])))
    assert again.samples(again.end or 0, again.end or 0).num_rows == 0


def test_a_schedule_and_a_budget_count_from_the_beginning_of_the_run(tmp_path: Path) -> None:
    old = made(tmp_path, FIRST)
    text = """
mixture:
  components:
    - {name: web, where: {dataset: web}}
    - {name: books}
  schedule:
    - {at: 0, weights: {web: 9, books: 1}}
    - {at: 14400, weights: {web: 1, books: 1}}
  budget: {tokens: 24000}
order: {chunk_size: 64, lanes: 3, granule: 8}
"""
    new = made(tmp_path, text, stop=Stop(old, 400))
    assert (new.start, new.end) == (400, 1000)
    names = [held[0]["component"] for held in positions_of(new, 400, 1000)]
    assert abs(names[:200].count("books") - 20) <= 2
    assert abs(names[200:].count("books") - 200) <= 4


def test_exclusions_and_a_curriculum_begin_in_mid_run(tmp_path: Path) -> None:
    old = made(tmp_path, FIRST)
    gone = sorted(documents(rows_of(old)))[::4]
    path = tmp_path / "gone.parquet"
    pq.write_table(pa.table({"sample": gone}), path)
    text = FIRST.replace("lanes: 3", "lanes: 1, by: score") + f"exclude: {path}\n"
    new = made(tmp_path, text, stop=Stop(old, 600))
    again = made(tmp_path, text, stop=Stop(new, 900))
    assert set(fates(again).values()) == {"goes on"}
    before, between, after = rows_of(old, 0, 600), rows_of(new, 600, 900), rows_of(again)
    assert set(tokens_of(before + between + after).values()) == {1}
    assert not documents(between + after) & (set(gone) | documents(before))
    place = {sample: n for n, sample in enumerate(s for row in rows_of(made(tmp_path, text)) for s, _, _ in row)}
    assert rows_of(new, component="books") == rows_of(new, 600, 900, "books") + rows_of(again, component="books")
    found = [place[s] for row in rows_of(new, component="books") for s, _, _ in row if s in place]
    assert found == sorted(found)


def test_rows_of_one_document_are_taken_over_like_samples(tmp_path: Path) -> None:
    rows = "tokens: {tokenizer: bytes, sequence_length: 24, packing: none}\n"
    plain = made(tmp_path, FIRST, tokens="")
    old = made(tmp_path, FIRST, tokens=rows)
    samples = [made(tmp_path, SECOND, (GROWN, BOOKS), stop=Stop(old, 1200), tokens=rows)]
    samples += [made(tmp_path, SECOND, (GROWN, BOOKS), stop=Stop(plain, 1200), tokens="")]
    one, other = (plan.samples(1200, plan.end or 0)["sample"].to_pylist() for plan in samples)
    assert one == other
    longer = made(tmp_path, FIRST, stop=Stop(plain, 1200), tokens=rows.replace("24", "48"))
    assert set(fates(longer).values()) == {"goes on"}


@pytest.mark.parametrize(
    ("before", "now"), [("", TOKENS), (TOKENS, ""), (TOKENS.replace("label_shift: false", "packing: none"), TOKENS)]
)
def test_samples_do_not_become_sequences(tmp_path: Path, before: str, now: str) -> None:
    old = made(tmp_path, FIRST, tokens=before)
    with pytest.raises(
        PlanError, match=r"of the plan 'made' are (samples|sequences of tokens), and those of 'made' are"
    ):
        made(tmp_path, FIRST, stop=Stop(old, 100), tokens=now)


def test_rows_of_whole_documents_are_refused(tmp_path: Path) -> None:
    old = made(tmp_path, FIRST)
    assert old.data.tokens is not None
    parameters = replace(old.data.tokens.parameters, packing="best_fit")
    fitted = Plan(replace(old.data, tokens=replace(old.data.tokens, parameters=parameters)), old.path, old.digest)
    with pytest.raises(PlanError, match="the plan that the run stands in, 'made', has `packing: best_fit`"):
        made(tmp_path, FIRST, stop=Stop(fitted, 100))


def test_a_component_without_tokens_cannot_repeat_for_ever(tmp_path: Path) -> None:
    empty = MadeSource("void", {"language": "string"}, [MadeFile("a.jsonl", 70, [{"language": EMPTY}] * 5)])
    text = "mixture: {by: dataset, weights: uniform, on_exhaust: repeat}\n"
    with pytest.raises(SpecError, match="'void': its 5 samples have 0 tokens, and a sequence takes 24"):
        made(tmp_path, text, (BOOKS, empty))


MIXTURES = (
    FIRST,
    FIRST.replace("weight: 3", "weight: 30"),
    FIRST.replace("seed: 3", "seed: 4"),
    FIRST.replace("lanes: 3", "lanes: 5").replace("shuffle: global", "shuffle: none"),
    SECOND.replace("filter: year >= 2005\n", ""),
    "mixture: {by: [dataset, language], on_exhaust: redistribute}\norder: {seed: 3, chunk_size: 16, granule: 4}\n",
    "mixture: {by: dataset, on_exhaust: redistribute}\norder: {seed: 3, by: year, chunk_size: 16, granule: 4}\n",
)


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    st.lists(st.tuples(st.sampled_from(MIXTURES), st.integers(0, 250)), min_size=2, max_size=5),
    st.sampled_from([7, 24, 60]),
)
def test_a_chain_of_plans_delivers_no_token_twice(
    tmp_path_factory: pytest.TempPathFactory, chain: list[tuple[str, int]], length: int
) -> None:
    """And loses no token but those of documents that a stop has cut, and the last ones of each component."""
    tmp_path = tmp_path_factory.mktemp("chain")
    plan: Plan | None = None
    position, delivered, most_cut = 0, [], 0
    for text, positions in chain:
        stop = None if plan is None else Stop(plan, position)
        sources = source("web", 10, 2, 300), source("books", 50, 1, 200)
        plan = made(tmp_path, text, sources, stop, TOKENS.replace("24", str(length)))
        assert plan.end is not None
        positions = min(positions, (plan.end - position) // 3)  # what a stop cuts must not be all that is left
        delivered += rows_of(plan, position, position + positions)
        position += positions
        most_cut += 2 * plan.data.order.lanes * len(plan.data.components)
    assert plan is not None
    delivered += rows_of(plan, position)
    seen = tokens_of(delivered)
    assert set(seen.values()) == {1}
    counts, held = counts_of(plan), Counter(sample for sample, _ in seen)
    cut = {sample for sample, count in held.items() if count < counts[sample]}
    assert len(cut) <= most_cut
    never = sum(count for sample, count in counts.items() if sample not in held)
    assert never < length * len(plan.data.components)
