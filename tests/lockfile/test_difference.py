"""Differences of locks: what pins content, what is only said, and that a difference can be turned round."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from mixtera.artifact.model import Steering
from mixtera.lockfile import Lock
from mixtera.lockfile.difference import difference
from mixtera.lockfile.model import LockBody, LockedColumns, LockedCount, LockedDelivery, LockedFile, LockedTokens
from mixtera.lockfile.show import show
from tests.lockfile.made import BODY, FILE, bodies, with_files


@given(bodies, bodies)
def test_a_difference_is_its_own_inverse_when_sides_are_exchanged(one: LockBody, other: LockBody) -> None:
    there, back = difference(one, other), difference(other, one)
    assert there.inverse() == back
    assert there.moved == back.moved
    assert there.only_times == back.only_times
    assert show(there, "a", "b").count("\n") == show(back, "a", "b").count("\n") or there.spec_lines()


@given(bodies)
def test_nothing_differs_from_itself(body: LockBody) -> None:
    found = difference(body, body)
    assert not found.moved
    assert show(found, "a", "b") == ""
    assert (found.settings, found.components, found.sources, found.snapshots) == ((), (), (), ())


PINNED = [
    (replace(FILE, size=101), True),
    (replace(FILE, rows=11), True),
    (replace(FILE, modified="2026-01-02T03:04:05.000000007Z"), True),
    (replace(FILE, modified=None), False),
    (replace(FILE, etag="e1"), False),  # the other side knows no etag: the time decides
    (replace(FILE, name="b.jsonl"), True),
]


@pytest.mark.parametrize(("file", "moved"), PINNED)
def test_size_rows_and_time_pin_a_file_without_etag(file: LockedFile, moved: bool) -> None:
    assert difference(with_files(FILE), with_files(file)).moved is moved


def test_with_etags_the_time_does_not_count() -> None:
    tagged = replace(FILE, etag="e1")
    touched = replace(tagged, modified="2027-01-01T00:00:00.000000000Z")
    assert not difference(with_files(tagged), with_files(touched)).moved
    assert difference(with_files(tagged), with_files(replace(tagged, etag="e2"))).moved


def test_only_times_is_said_when_nothing_else_moved() -> None:
    touched = replace(FILE, modified="2027-01-01T00:00:00.000000000Z")
    assert difference(with_files(FILE), with_files(touched)).only_times
    assert not difference(with_files(FILE), with_files(replace(touched, size=101))).only_times
    assert not difference(with_files(FILE), replace(with_files(touched), plan="sha256:other")).only_times
    assert not difference(with_files(FILE), with_files(touched, replace(FILE, name="b.jsonl"))).only_times


def test_another_snapshot_version_name_or_way_of_writing_alone_is_no_move() -> None:
    other = replace(with_files(FILE, snapshot=6), made_by="9.9.9", name="other", spec=("version: 1", "name: other"))
    found = difference(BODY, other)
    assert not found.moved
    assert [(one.name, one.before, one.after) for one in found.snapshots] == [("web", 5, 6)]
    assert found.spec_lines("a", "b") == [
        "--- a",
        "+++ b",
        "@@ -1,2 +1,2 @@",
        " version: 1",
        "-name: made",
        "+name: other",
    ]


def test_the_text_names_files_counts_lines_and_digest() -> None:
    fresh, larger = replace(FILE, name="b.jsonl"), replace(FILE, size=1200, rows=12)
    component = replace(BODY.components[0], samples=22, places=22)
    other = replace(
        with_files(larger, fresh),
        plan="sha256:1",
        positions=22,
        samples=22,
        components=(component,),
        spec=("version: 1",),
    )
    assert str(difference(BODY, other)) == show(difference(BODY, other), "before", "after")
    assert repr(Lock(BODY)) == f"Lock('made', plan {BODY.plan[:19]}…)"
    assert show(difference(BODY, other), "made.yaml.lock", "made.yaml").splitlines() == [
        "source web: 1 added, 1 changed",
        "  ~ a.jsonl  rows 10 → 12, bytes 100 → 1,200",
        "  + b.jsonl  10 rows, 100 bytes",
        "components",
        "  ~ all  samples 10 → 22",
        "order and length",
        "  ~ positions 10 → 22",
        "  ~ samples 10 → 22",
        "spec",
        "  --- made.yaml.lock",
        "  +++ made.yaml",
        "  @@ -1,2 +1 @@",
        "   version: 1",
        "  -name: made",
        f"plan {BODY.plan} → sha256:1",
    ]


def test_many_files_are_counted_and_the_first_are_named() -> None:
    many = [replace(FILE, name=f"{i:03}.jsonl") for i in range(100)]
    lines = show(difference(with_files(), with_files(*many)), "a", "b").splitlines()
    assert lines[0] == "source web: 100 added"
    assert lines[-1] == "  … and 88 more; `--json` has all of them"
    assert len(lines) == 14
    assert len(difference(with_files(), with_files(*many)).to_json()["sources"][0]["files"]) == 100


def test_a_long_difference_of_lines_is_cut() -> None:
    one, other = (replace(BODY, spec=tuple(f"{side} {i}" for i in range(500))) for side in "ab")
    lines = show(difference(one, other), "a", "b").splitlines()
    assert lines[0] == "spec"
    assert lines[-1] == "  … and 903 more; `--json` has all of them"
    assert len(lines) == 102
    assert len(difference(one, other).to_json()["spec"]) == 1003


STEERED = replace(BODY, dynamic=Steering("odm", {"alpha": 0.9, "start": {"web": 1}}, 0.01, None, 10, 1, 500))


def test_weights_that_follow_the_training_are_compared_by_every_value() -> None:
    steering = Steering("odm", {"alpha": 0.5, "start": {"web": 2}}, None, 0.5, 10, 2, None)
    found = difference(STEERED, replace(STEERED, plan="sha256:1", dynamic=steering))
    assert {one.name: (one.before, one.after) for one in found.settings} == {
        "dynamic.budget": (500, None),
        "dynamic.ceiling": (None, 0.5),
        "dynamic.floor": (0.01, None),
        "dynamic.lag": (1, 2),
        "dynamic.options.alpha": (0.9, 0.5),
        "dynamic.options.start": ('{"web": 1}', '{"web": 2}'),
    }
    text = show(found, "a", "b").splitlines()
    assert text[:3] == ["dynamic", "  ~ dynamic.budget 500 → none", "  ~ dynamic.ceiling none → 0.5"]
    there = {one.name: one.after for one in difference(BODY, replace(STEERED, plan="sha256:1")).settings}
    assert (there["dynamic"], there["dynamic.every"]) == ("odm", 10)


def test_a_lock_that_was_written_before_locks_said_it_holds_where_the_plan_is_the_same() -> None:
    delivery = LockedDelivery(32, (LockedColumns("all", ("image",)),))
    found = difference(BODY, replace(STEERED, tokens=TOKENS, delivery=delivery))
    assert not [one.name for one in found.settings if one.name.startswith(("dynamic", "deliver", "stream"))]


TOKENS = LockedTokens("bytes", "sha256:a", 258, 32, "concat", None, None, False, 0, None, None, ())


def test_what_components_deliver_is_named_by_component() -> None:
    names = ("web", "pictures", "scans")
    web, pictures, scans = (replace(BODY.components[0], name=name) for name in names)
    image = LockedDelivery(16, (LockedColumns("pictures", ("image",)),))
    more = LockedDelivery(32, (LockedColumns("pictures", ("image", "caption")), LockedColumns("scans", ("image",))))
    plain = replace(BODY, tokens=TOKENS, components=(web, pictures))
    one = replace(plain, plan="sha256:1", delivery=image)
    other = replace(plain, plan="sha256:2", delivery=more, components=(web, pictures, scans))
    changed = [(a.name, a.before, a.after) for a in difference(one, other).settings]
    assert changed == [
        ("deliver of pictures", "image", "image, caption"),
        ("deliver of scans", None, "image"),
        ("stream.group", 16, 32),
    ]
    found = difference(one, replace(other, tokens=replace(TOKENS, counts=(LockedCount("web", 10, 99),))))
    assert found.unit == "positions"
    assert "  + scans  weight 1, 10 positions" in show(found, "a", "b").splitlines()
    changed = [(a.name, a.before, a.after) for a in difference(plain, one).settings]
    assert changed == [("deliver of pictures", "tokens", "image"), ("stream.group", None, 16)]
    assert difference(plain, replace(plain, plan="sha256:3")).settings == ()
    assert "delivery\n  ~ deliver of pictures image → image, caption\n" in show(difference(one, other), "a", "b")


def test_the_digest_is_that_of_the_text() -> None:
    import hashlib

    lock = Lock(BODY)
    assert lock.digest == "sha256:" + hashlib.sha256(str(lock).encode()).hexdigest()
    assert lock.digest != Lock(replace(BODY, samples=11)).digest
