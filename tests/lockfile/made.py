"""Locks made by hand."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from mixtera.artifact.model import OrderParameters, PlanComponent, Steering
from mixtera.lockfile.model import (
    LockBody,
    LockedColumns,
    LockedCount,
    LockedDelivery,
    LockedFile,
    LockedSource,
    LockedTokens,
)

FILE = LockedFile("a.jsonl", 100, 10, "2026-01-02T03:04:05.000000006Z", None)
BODY = LockBody(
    made_by="0.1.0",
    order_version=1,
    plan="sha256:" + "0" * 64,
    name="made",
    positions=10,
    samples=10,
    order=OrderParameters(7, "global", 64, 4, 16),
    components=(PlanComponent("all", 1.0, 10, 10, "stop"),),
    sources=(LockedSource("web", "jsonl", 5, (FILE,)),),
    spec=("version: 1", "name: made"),
)


def with_files(*files: LockedFile, snapshot: int = 5) -> LockBody:
    """The same body over other files."""
    return replace(BODY, sources=(LockedSource("web", "jsonl", snapshot, files),))


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8)
counts = st.integers(0, 2**40)
files = st.builds(
    LockedFile,
    names,
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from([None, "2026-01-02T03:04:05.000000006Z", "2025-01-02T03:04:05.000000000Z"]),
    st.sampled_from([None, "e1", "e2"]),
)
components = st.builds(
    PlanComponent,
    names,
    st.floats(1e-9, 1e12),
    counts,
    counts | st.none(),
    st.sampled_from(["stop", "repeat"]),
)


def _by_name(found: list) -> tuple:
    return tuple({value.name: value for value in found}.values())


sources = st.builds(
    LockedSource,
    st.sampled_from(["web", "code", "law"]),
    st.sampled_from(["jsonl", "parquet"]),
    st.integers(1, 2) | st.none(),
    st.lists(files, max_size=4).map(_by_name).map(lambda found: tuple(sorted(found, key=lambda file: file.name))),
)
ids = st.integers(0, 99) | st.none()
tokens = st.builds(
    LockedTokens,
    st.sampled_from(["bytes", "small.json"]),
    st.sampled_from(["sha256:a", "sha256:b"]),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(["concat", "best_fit", "none"]),
    ids,
    ids,
    st.booleans(),
    st.integers(0, 2),
    ids,
    names | st.none(),
    st.lists(st.builds(LockedCount, names, counts, counts), max_size=3).map(_by_name),
)
delivery = st.builds(
    LockedDelivery,
    st.integers(1, 3),
    st.lists(st.builds(LockedColumns, names, st.lists(names, min_size=1, max_size=2).map(tuple)), max_size=2).map(
        _by_name
    ),
)
shares = st.floats(0, 1) | st.none()
options = st.dictionaries(names, st.integers(0, 9) | st.booleans() | st.lists(names, max_size=2), max_size=2)
steps = st.integers(1, 3)
dynamic = st.builds(
    Steering, st.sampled_from(["ado", "odm"]), options, shares, shares, steps, steps, counts | st.none()
)
bodies = st.builds(
    LockBody,
    st.just("0.1.0"),
    st.integers(1, 2),
    st.sampled_from(["sha256:a", "sha256:b"]),
    names,
    counts | st.none(),
    counts,
    st.builds(
        OrderParameters,
        st.integers(0, 2**63),
        st.sampled_from(["global", "none"]),
        st.integers(1, 99),
        st.integers(1, 9),
        st.integers(1, 9),
    ),
    st.lists(components, max_size=4).map(_by_name),
    st.lists(sources, max_size=3).map(_by_name),
    st.lists(names, max_size=5).map(tuple),
    tokens | st.none(),
    delivery | st.none(),
    dynamic | st.none(),
)
