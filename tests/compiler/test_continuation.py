"""A plan that takes over from another in mid-run: nothing is lost, nothing is repeated, positions go on."""

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

from mixtera.compiler import compile
from mixtera.compiler.stop import Stop
from mixtera.errors import PlanError, StateError
from mixtera.plan import Plan
from mixtera.testing.catalog import MadeCatalog, MadeFile, MadeSource
from tests.compiler.made import spec_of

ROWS = 900


def source(name: str, first_id: int, files: int, rows: int = ROWS) -> MadeSource:
    return MadeSource(
        name,
        {"language": "string", "year": "int64", "score": "float64"},
        [
            MadeFile(
                f"part-{part}.jsonl",
                first_id + part,
                [
                    {"language": ("en", "de", "fr")[n % 3], "year": 2000 + n % 20, "score": (n * 7919 % 997) / 997}
                    for n in range(part * rows, (part + 1) * rows)
                ],
            )
            for part in range(files)
        ],
    )


WEB, BOOKS = source("web", 10, 3), source("books", 50, 2)
GROWN = source("web", 10, 4)
FIRST = """
mixture:
  components:
    - {name: english, where: 'dataset == "web" and language == "en"', weight: 5}
    - {name: other, where: {dataset: web}, weight: 3}
    - {name: books, weight: 2}
  on_exhaust: redistribute
order: {seed: 3, chunk_size: 64, lanes: 3, granule: 8}
"""


def made(tmp_path: Path, text: str, sources: Sequence[MadeSource] = (WEB, BOOKS), stop: Stop | None = None) -> Plan:
    directory = tmp_path / f"catalog-{len(list(tmp_path.iterdir()))}"
    directory.mkdir()
    return compile(spec_of(tmp_path, text, sources), MadeCatalog(directory, sources), continue_from=stop)


def rows_of(plan: Plan, start: int | None = None, stop: int | None = None) -> list[dict[str, object]]:
    first, last = plan.start if start is None else start, plan.end if stop is None else stop
    assert last is not None
    return plan.samples(first, last).to_pylist()  # type: ignore[no-any-return]


def ids(rows: Sequence[dict[str, object]], component: str | None = None) -> list[object]:
    return [row["sample"] for row in rows if component in (None, row["component"])]


STOPS = (0, 1, 192, 200, 1000, 1536, 3333)


@pytest.mark.parametrize("position", STOPS)
def test_other_weights_go_on_with_what_is_left(tmp_path: Path, position: int) -> None:
    old = made(tmp_path, FIRST)
    new = made(tmp_path, FIRST.replace("weight: 5", "weight: 1"), stop=Stop(old, position))
    assert (new.start, new.end, len(new)) == (position, len(old), len(old) - position)
    before, after = rows_of(old, 0, position), rows_of(new)
    counts = Counter(ids(before) + ids(after))
    assert len(counts) == 5 * ROWS
    assert set(counts.values()) == {1}
    for component in ("english", "other", "books"):
        assert set(ids(before, component) + ids(after, component)) == set(ids(rows_of(old), component))


@pytest.mark.parametrize("position", STOPS)
def test_in_one_lane_a_component_goes_on_in_its_order(tmp_path: Path, position: int) -> None:
    text = FIRST.replace("lanes: 3", "lanes: 1")
    old = made(tmp_path, text)
    new = made(tmp_path, text.replace("weight: 5", "weight: 1"), stop=Stop(old, position))
    for component in ("english", "other", "books"):
        whole = ids(rows_of(old), component)
        assert ids(rows_of(old, 0, position), component) + ids(rows_of(new), component) == whole


def test_positions_samples_stream_and_locate_agree(tmp_path: Path) -> None:
    old = made(tmp_path, FIRST)
    new = made(tmp_path, FIRST.replace("weight: 5", "weight: 1"), stop=Stop(old, 1000))
    new.save(str(tmp_path / "plan"))
    again = Plan.open(str(tmp_path / "plan"))
    assert again.digest == new.digest
    assert rows_of(again) == rows_of(new)
    rows = rows_of(again)
    for offset in range(0, len(rows), 173):
        assert again.locate(int(rows[offset]["sample"])) == [1000 + offset]  # type: ignore[call-overload]
    for row in rows_of(old, 0, 1000)[::91]:
        assert again.locate(int(row["sample"])) == []  # type: ignore[call-overload]
    with pytest.raises(PlanError, match="begins at position 1,000; what is before belongs to the plan 'made'"):
        again.samples(999, 1001)
    with pytest.raises(PlanError, match="begins at position 1000"):
        again.stream(batch_size=4, start=0)


def test_the_state_of_the_other_plan_is_taken_over(tmp_path: Path) -> None:
    old = made(tmp_path, FIRST)
    state = old.stream(batch_size=8, start=640).state_dict()
    new = made(tmp_path, FIRST.replace("weight: 5", "weight: 1"), stop=Stop.of(old, state))
    stream = new.stream(batch_size=8)
    stream.load_state_dict(state)
    assert stream.position == 640
    assert stream.state_dict()["plan"] == new.digest
    stream.load_state_dict(stream.state_dict())
    with pytest.raises(StateError, match="stands at position 648 of plan 'made', and 'made' continues that plan from"):
        stream.load_state_dict({**state, "position": 648})
    with pytest.raises(StateError, match="belongs to another plan"):
        old.stream(batch_size=8).load_state_dict(new.stream(batch_size=8).state_dict())
    with pytest.raises(StateError, match="belongs to another plan"):
        Stop.of(old, new.stream(batch_size=8).state_dict())


SECOND = """
filter: year >= 2005
mixture:
  components:
    - {name: recent, where: year >= 2015, weight: 4}
    - {name: english, where: 'language == "en"', weight: 5}
    - {name: books, where: {dataset: books}, weight: 1}
    - {name: more, weight: 1}
  on_exhaust: redistribute
order: {seed: 3, chunk_size: 32, lanes: 2, granule: 4}
"""


@pytest.mark.parametrize("position", [1, 777, 2000])
def test_changed_components_leave_out_what_was_delivered(tmp_path: Path, position: int) -> None:
    old = made(tmp_path, FIRST)
    new = made(tmp_path, SECOND, (GROWN, BOOKS), stop=Stop(old, position))
    before, after = rows_of(old, 0, position), rows_of(new)
    fresh = rows_of(made(tmp_path, SECOND, (GROWN, BOOKS)))
    assert sorted(ids(after)) == sorted(set(ids(fresh)) - set(ids(before)))  # type: ignore[type-var]
    fates = {one["name"]: one["fate"] for one in new.data.facts["continues"]["components"]}
    assert fates == {"recent": "new", "english": "changed", "books": "changed", "more": "new"}
    assert new.data.facts["continues"]["gone"] == ["other"]


def test_what_is_left_alone_goes_on_while_others_change(tmp_path: Path) -> None:
    old = made(tmp_path, FIRST)
    french = """    - {name: french, where: 'dataset == "web" and language == "fr"', weight: 2}\n    - {name: other,"""
    text = FIRST.replace("    - {name: other,", french).replace("name: books,", "name: books, where: {dataset: books},")
    text = text.replace("  on_exhaust", "    - {name: added, weight: 4}\n  on_exhaust")
    new = made(tmp_path, text, (source("aaa", 90, 1), GROWN, BOOKS), stop=Stop(old, 1500))
    fates = {one["name"]: one["fate"] for one in new.data.facts["continues"]["components"]}
    assert fates == {"english": "changed", "french": "new", "other": "changed", "books": "goes on", "added": "new"}
    lanes = made(tmp_path, FIRST.replace("lanes: 3", "lanes: 1"))
    delivered = set(ids(rows_of(old, 0, 1500)))
    left = [sample for sample in ids(rows_of(lanes), "books") if sample not in delivered]
    one_lane = replace(new.data, order=replace(new.data.order, lanes=1))
    assert ids(rows_of(Plan(one_lane, Path(), "")), "books") == left


def test_from_the_next_epoch_on_everything_is_delivered_again(tmp_path: Path) -> None:
    text = FIRST.replace("redistribute", "repeat").replace("weight: 5", "weight: 50").replace("lanes: 3", "lanes: 1")
    old = made(tmp_path, text)
    position = 2400  # english, a third of web, is in its third epoch
    new = made(tmp_path, text.replace('language == "en"', 'language != "de"'), stop=Stop(old, position))
    consumed = {one["name"]: one for one in new.data.facts["continues"]["components"]}["english"]
    before = Counter(ids(rows_of(old, 0, position), "english"))
    assert set(before.values()) == {2, 3}
    three = {sample for sample, n in before.items() if n == 3}
    assert consumed["delivered"] == len(three | set(ids(rows_of(old, 0, position), "other")) & english_new(new))
    after = ids(rows_of(new, position, position + 6000), "english")
    epoch = 2 * ROWS - consumed["delivered"]
    assert not three & set(after[:epoch])
    assert len(set(after[:epoch])) == epoch
    assert len(set(after[epoch : epoch + 2 * ROWS])) == 2 * ROWS


def english_new(plan: Plan) -> set[object]:
    fresh = plan.data
    files, segments, entries = (t.to_pylist() for t in (fresh.files, fresh.segments, fresh.entries))
    found, taken = set(), 0
    for entry in entries[: fresh.component_entries[1]]:
        segment = segments[entry["segment"]]
        for row in fresh.rows[taken : taken + entry["count"]].tolist():
            found.add(files[segment["file"]]["file_id"] << 31 | segment["row"] + row)
        taken += entry["count"]
    return found


def test_max_epochs_count_what_was_delivered_before(tmp_path: Path) -> None:
    text = FIRST.replace("weight: 5}", "weight: 5, on_exhaust: repeat, max_epochs: 2.5}")
    old = made(tmp_path, text)
    for position in (100, 1300, 2100):
        new = made(tmp_path, text.replace("weight: 3", "weight: 1"), stop=Stop(old, position))
        counts = Counter(ids(rows_of(old, 0, position)) + ids(rows_of(new)))
        assert sum(counts.values()) == int(2.5 * ROWS) + 4 * ROWS
        english = set(ids(rows_of(old), "english"))
        assert {counts[sample] for sample in english} == {2, 3}
        assert {n for sample, n in counts.items() if sample not in english} == {1}


def test_a_schedule_and_a_budget_are_in_positions_of_the_run(tmp_path: Path) -> None:
    old = made(tmp_path, FIRST)
    text = """
mixture:
  components:
    - {name: web, where: {dataset: web}}
    - {name: books}
  schedule:
    - {at: 0, weights: {web: 9, books: 1}}
    - {at: 1500, weights: {web: 1, books: 1}}
    - {at: 1600, weights: {web: 0, books: 1}, ramp: linear, until: 1800}
  budget: {samples: 2000}
order: {chunk_size: 64, lanes: 3, granule: 8}
"""
    new = made(tmp_path, text, stop=Stop(old, 1000))
    assert (new.start, new.end) == (1000, 2000)
    names = [row["component"] for row in rows_of(new)]
    assert abs(names[:500].count("books") - 50) <= 2
    assert abs(names[500:600].count("books") - 50) <= 2
    assert names[800:].count("web") == 0
    assert abs(names[600:800].count("web") - 50) <= 3
    late = made(tmp_path, text, stop=Stop(old, 1700))
    assert abs([row["component"] for row in rows_of(late)].count("web") - 12.5) <= 2


def test_what_was_switched_off_for_a_while_is_not_delivered_again(tmp_path: Path) -> None:
    first = made(tmp_path, FIRST)
    off = FIRST.replace("name: books, weight: 2", "name: books, where: {dataset: books}, weight: 0")
    second = made(tmp_path, off, stop=Stop(first, 1500))
    second.save(str(tmp_path / "second"))
    second = Plan.open(str(tmp_path / "second"))
    assert len(second.data.remembered) == len(ids(rows_of(first, 0, 1500), "books"))
    without = FIRST.replace("    - {name: books, weight: 2}\n", "").replace("{dataset: web}", "dataset == 'web'")
    third = made(tmp_path, without, (GROWN,), stop=Stop(second, 1700))  # not even its files
    last = made(tmp_path, FIRST, (GROWN, BOOKS), stop=Stop(third, 2000))
    delivered = [rows_of(first, 0, 1500), rows_of(second, 1500, 1700), rows_of(third, 1700, 2000), rows_of(last)]
    every = [sample for rows in delivered for sample in ids(rows)]
    assert len(every) == len(set(every)) == 6 * ROWS


def test_exclusions_are_added_in_mid_run(tmp_path: Path) -> None:
    old = made(tmp_path, FIRST.replace("lanes: 3", "lanes: 1"))
    gone = rows_of(old)[::4]
    path = tmp_path / "gone.parquet"
    pq.write_table(pa.table({"sample": [row["sample"] for row in gone]}), path)
    new = made(tmp_path, FIRST.replace("lanes: 3", "lanes: 1") + f"exclude: {path}\n", stop=Stop(old, 2000))
    excluded, delivered = set(ids(gone)), set(ids(rows_of(old, 0, 2000)))
    for component in ("english", "other", "books"):
        left = [s for s in ids(rows_of(old), component) if s not in excluded and s not in delivered]
        assert ids(rows_of(new), component) == left


def test_a_curriculum_begins_in_mid_run(tmp_path: Path) -> None:
    old = made(tmp_path, FIRST)
    text = FIRST.replace("lanes: 3", "lanes: 1, by: score")
    new = made(tmp_path, text, stop=Stop(old, 1100))
    again = made(tmp_path, text, stop=Stop(new, 1900))
    before, between, after = rows_of(old, 0, 1100), rows_of(new, 1100, 1900), rows_of(again)
    assert len(set(ids(before + between + after))) == len(before + between + after) == 5 * ROWS
    fresh = ids(rows_of(made(tmp_path, text)), "books")
    place = {sample: number for number, sample in enumerate(fresh)}
    for rows in (between, after):
        places = [place[sample] for sample in ids(rows, "books")]
        assert places == sorted(places)


def test_a_plan_with_nothing_left_is_refused(tmp_path: Path) -> None:
    old = made(tmp_path, FIRST)
    with pytest.raises(PlanError, match="ends where it takes over from 'made', at position 4,500"):
        made(tmp_path, FIRST, stop=Stop(old, len(old)))
    budget = FIRST.replace("on_exhaust: redistribute", "on_exhaust: redistribute\n  budget: {samples: 900}")
    with pytest.raises(PlanError, match="or the budget ends there"):
        made(tmp_path, budget, stop=Stop(old, 1000))


MIXTURES = (
    FIRST,
    FIRST.replace("weight: 3", "weight: 30"),
    FIRST.replace("seed: 3", "seed: 4"),
    FIRST.replace("lanes: 3", "lanes: 5").replace("shuffle: global", "shuffle: none"),
    SECOND.replace("filter: year >= 2005\n", ""),
    "mixture: {by: [dataset, language], on_exhaust: redistribute}\norder: {seed: 3, chunk_size: 16, granule: 4}\n",
    "mixture: {by: dataset, on_exhaust: redistribute}\norder: {seed: 3, by: year, chunk_size: 16, granule: 4}\n",
)


@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(st.tuples(st.sampled_from(MIXTURES), st.integers(0, 700)), min_size=2, max_size=5))
def test_a_chain_of_plans_delivers_everything_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, chain: list[tuple[str, int]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("chain")
    plan: Plan | None = None
    position, delivered = 0, []
    for text, length in chain:
        stop = None if plan is None else Stop(plan, position)
        plan = made(tmp_path, text, (source("web", 10, 2, 400), source("books", 50, 1, 300)), stop)
        length = min(length, 1050 - position)
        delivered += ids(rows_of(plan, position, position + length))
        position += length
    assert plan is not None
    delivered += ids(rows_of(plan, position))
    assert len(delivered) == len(set(delivered)) == 1100
