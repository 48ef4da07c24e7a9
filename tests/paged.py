"""Plans whose arrays come in pages so small that a plan of a few hundred samples has many."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from mixtera.artifact import pages
from mixtera.artifact.pages import PagedArray
from mixtera.plan import Plan

PAGE_BYTES = 64


def another(plan: Plan) -> Plan:
    """The same plan, to be saved: whoever saves one changes where it lies, for all who have it."""
    return Plan(plan.data, plan.path, plan.digest)


def far(plan: Plan, url: str, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Plan:
    """A plan saved to a URL and opened from there, in a cache that has nothing of it.

    Args:
        plan: The plan; it stays where it lies, for the other tests that have it.
        url: Where to.
        monkeypatch: Sets the environment.
        cache: The cache.
    """
    monkeypatch.setenv("MIXTERA_CACHE", str(cache))
    monkeypatch.setenv("MIXTERA_PAGED_BYTES", "0")
    with monkeypatch.context() as patch:
        patch.setattr(pages, "PAGE_BYTES", PAGE_BYTES)
        another(plan).save(url)
    opened = Plan.open(url)
    assert isinstance(opened.data.rows, PagedArray)
    return opened


def assert_pages_change_nothing(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, cache: Path, readers: Iterable[tuple[int, int]] = ((3, 5), (1, 16))
) -> None:
    """Every rank reads the same of a plan whose arrays come in pages, and fetches less than all of them.

    Args:
        plan: A plan in a directory.
        monkeypatch: Sets the environment.
        cache: A directory for what is fetched.
        readers: Ranks and batch sizes.
    """
    for ranks, batch_size in readers:
        for rank in range(ranks):
            opened = far(plan, "memory://laws/plan", monkeypatch, cache / f"{ranks}-{rank}")
            streams = (each.stream(batch_size, rank, ranks) for each in (opened, plan))
            for found, expected in zip(*streams, strict=True):
                assert found.equals(expected)
    first, last = plan.start, plan.end or plan.start + 500
    assert opened.samples(first, last).equals(plan.samples(first, last))
    for sample in np.random.default_rng(3).choice(plan.samples(first, last)["sample"].to_numpy(), 5).tolist():
        assert opened.locate(sample, last) == plan.locate(sample, last)
    assert opened.digest == plan.digest
