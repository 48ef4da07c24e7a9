"""Pruning a catalog on S3, while other machines read it, index into it, or take up what a killed one has left."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

import mixtera
from mixtera.catalog.commits import Overtaken
from mixtera.catalog.pruning import Pruned, prune
from mixtera.errors import StorageError
from tests.catalog.corpus import spoil, write_lines
from tests.storage.faulty import FaultyProxy, Request
from tests.storage.machines import OTHER, SPEC, Shared, index, is_commit, machine
from tests.storage.objects import Objects
from tests.storage.weed import Weed

TYPED = re.sub("properties: .*", "properties: {{language: {{path: meta.language, type: string}}}}", SPEC)
SECOND = 1_000_000_000
"""The clock of the storage counts whole seconds: what was written in this one may be after it."""


@pytest.fixture
def shared(tmp_path: Path, s3: Weed) -> Shared:
    for number in range(2):
        write_lines(tmp_path / "web" / f"{number}.jsonl", range(1000 * number, 1000 * number + 100))
    write_lines(tmp_path / "more" / "0.jsonl", range(50))
    return Shared(tmp_path)


def pruned(catalog: mixtera.Catalog, keep: int) -> Pruned:
    """Prune without a period of grace: what was written in this second, too."""
    tables = catalog._tables
    return tables.as_newest(partial(prune, tables, keep, -SECOND))


def names(shared: Shared, objects: Objects) -> set[str]:
    found = objects.files.find(shared.url)
    return {name.removeprefix(f"{shared.url.removeprefix('s3://')}/") for name in found}


def test_old_states_commits_and_orphans_go(shared: Shared, objects: Objects) -> None:
    spec = shared.spec("spec")
    with machine(shared.on("a")):
        catalog = shared.open("a", create=True)
        for state in range(4):
            write_lines(shared.directory / "web" / "0.jsonl", range(101 + state))
            index(catalog, spec)
    before, there = shared.rows("fresh", spec), names(shared, objects)
    early = shared.open("early")
    write_lines(shared.directory / "web" / "0.jsonl", range(110))
    index(catalog, spec)
    after = shared.rows("fresh", spec)
    orphan = "warehouse/web/data/20200101T000000Z-0badc0de/0.parquet"
    objects.put(f"{shared.url}/{orphan}", b"nobody needs it")
    assert "deleted: 0 old states, 0 files (0.0 MB), 0 commits, 0 labels" in shared.run("b", "catalog", "prune")
    assert names(shared, objects) >= there | {orphan}

    found = pruned(shared.open("b"), 2)
    assert (found.states, found.commits) == (3, 4)  # of five, and the commit that forgets the states
    assert orphan not in names(shared, objects)
    assert sorted(name for name in names(shared, objects) if name.startswith("commits/")) == [
        "commits/0000000005.json",
        "commits/0000000006.json",
    ]
    assert shared.rows("fresh", spec) == shared.rows("never seen", spec) == after != before
    with machine(shared.on("early")):
        source = mixtera.load(str(spec)).sources[0]
        assert early.source(source).rows == 204  # what the last two commits need is there, and this is one of them
    assert len(shared.open("c").history("web")) == 2
    copies = len(list(shared.on("a").rglob("*.parquet")))
    assert pruned(shared.open("a"), 1).states == 1
    assert len(list(shared.on("a").rglob("*.parquet"))) < copies
    assert shared.rows("x", spec) == after
    assert index(shared.open("a"), spec).unchanged == 2


def test_it_meets_an_index(shared: Shared, objects: Objects, proxy: FaultyProxy) -> None:
    spec, other = shared.spec("spec"), shared.spec("other", OTHER)
    catalog = shared.open("a", create=True)
    for state in range(3):
        write_lines(shared.directory / "web" / "0.jsonl", range(101 + state))
        index(catalog, spec)
    met: list[object] = []

    def choose(request: Request) -> None:
        if is_commit(request):
            proxy.choose = lambda request: None
            write_lines(shared.directory / "web" / "0.jsonl", range(150))
            met.extend((index(shared.open("b"), spec), index(shared.open("b"), other)))

    proxy.choose = choose
    assert pruned(shared.open("c"), 1).states == 3
    assert len(met) == 2
    assert len(shared.rows("fresh", spec)) == 250
    assert len(shared.rows("fresh", other)) == 50
    assert index(shared.open("d"), spec).unchanged == 2


def test_what_a_killed_index_has_left_is_taken_up_after_its_objects_were_deleted(
    shared: Shared, objects: Objects, proxy: FaultyProxy
) -> None:
    spec, other = shared.spec("spec", TYPED), shared.spec("other", OTHER)
    index(shared.open("b", create=True), other)
    proxy.choose = lambda request: "denied" if is_commit(request) else None
    with pytest.raises(StorageError):
        index(shared.open("a"), spec)
    proxy.choose = lambda request: None
    uploaded = {name for name in names(shared, objects) if name.startswith("warehouse/web/data/")}
    assert uploaded
    assert pruned(shared.open("b"), 1).files >= len(uploaded)
    assert not uploaded & names(shared, objects)
    for number in range(2):
        spoil(shared.directory / "web" / f"{number}.jsonl")  # who scans it again fails
    assert index(shared.open("a"), spec).samples == 200
    assert not uploaded & names(shared, objects), "no name is used twice: what is old may be deleted at any time"
    assert len(shared.rows("fresh", spec)) == 200


def test_a_number_that_pruning_has_left_free_is_no_commit(shared: Shared) -> None:
    spec = shared.spec("spec")
    index(shared.open("a", create=True), spec)
    late = shared.open("late")
    for state in range(3):
        write_lines(shared.directory / "web" / "0.jsonl", range(101 + state))
        index(shared.open("a"), spec)
    pruned(shared.open("b"), 1)
    with pytest.raises(Overtaken, match="was changed by other programs meanwhile"), late._tables.together():
        pass
    assert len(shared.rows("fresh", spec)) == 203
