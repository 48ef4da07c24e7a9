"""Warnings: each comes when it should, not otherwise, and names what to write."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mixtera.artifact.model import OrderParameters, PlanData
from mixtera.explanation.advice import RULES, advice
from mixtera.explanation.build import report
from mixtera.explanation.forecast import Cost
from mixtera.explanation.model import Advice, Overlap, Report
from tests.explanation.plans import in_row_groups, labels, named, repeating, with_facts
from tests.synthetic import plan_data

DIGEST = "sha256:" + "0" * 64


def natural(**more: int) -> PlanData:
    return plan_data(labels([300, 100], 2), [300, 100], **more)


def warnings(data: PlanData, readers: int | None = None, overlap: tuple[Overlap, ...] = ()) -> dict[str, Advice]:
    return {warning.code: warning for warning in report(data, DIGEST, readers, overlap).warnings}


def many_files(data: PlanData, count: int, size: int) -> Report:
    found = report(data, DIGEST)
    return replace(found, reading=replace(found.reading, files=count, bytes=count * size))


def test_a_plan_that_is_as_it_should_be_has_no_warning() -> None:
    assert warnings(with_facts(natural()), readers=3) == {}


def test_a_small_component_with_a_large_weight_ends_the_stream_early() -> None:
    found = warnings(named(plan_data(labels([900, 100], 2), [1, 1]), ["web", "law"]))["ends-early"]
    assert "law (50.00 % of the mixture) has nothing left after 201 positions" in found.message
    assert "799 of 1,000 samples (79.90 %) are never seen" in found.message
    for way_out in ("`on_exhaust: repeat`", "`max_epochs`", "`on_exhaust: redistribute`", "10.00 %"):
        assert way_out in found.fix


def test_a_few_samples_that_are_left_are_no_warning() -> None:
    assert "ends-early" not in warnings(plan_data(labels([500, 490], 2), [1, 1]))


def test_more_than_four_epochs() -> None:
    data = repeating(plan_data(labels([900, 20], 2), [1, 1]), 1)
    found = warnings(data)["repeated"]
    assert found.message == "every sample of c1 is delivered 45.0 times"
    assert "max_epochs: 4" in found.fix
    assert "repeated" not in warnings(repeating(plan_data(labels([900, 300], 2), [1, 1]), 1))


def test_a_stream_without_end() -> None:
    data = repeating(repeating(natural(), 0), 1)
    assert "c0 and c1 repeat for ever" in warnings(data)["endless"].message


def test_samples_of_no_component() -> None:
    assert (
        "no component takes 1 sample of the catalog"
        in warnings(with_facts(natural(), unassigned=1))["left-over"].message
    )
    filtered = with_facts(natural(), unassigned=7, filter="year >= 2015")
    assert "no component takes 7 samples that the filter keeps" in warnings(filtered)["left-over"].message


def test_overlapping_predicates_name_who_wins() -> None:
    pairs = tuple(Overlap("web", f"part{n}", n) for n in range(1, 6))
    found = warnings(natural(), None, pairs)["overlap"]
    assert found.message == "web and part5 both match 5 samples, which web gets, and 4 more pairs overlap"
    assert "put it first" in found.fix
    assert (
        warnings(natural(), None, pairs[:1])["overlap"].message == "web and part1 both match 1 sample, which web gets"
    )


def test_large_groups() -> None:
    data = in_row_groups(natural(record_bytes=2_000_000), 1000)
    assert "400 MB" in warnings(data)["large-groups"].message
    assert "large-groups" not in warnings(in_row_groups(natural(), 1000))


def test_much_more_is_read_than_delivered() -> None:
    def data(record_bytes: int) -> PlanData:
        parts = plan_data(labels([300, 100], 2, unselected=4000), [300, 100], record_bytes=record_bytes)
        return in_row_groups(parts, 1000)

    assert "as many bytes are read as delivered" in warnings(data(25_000))["read-often"].message
    assert "read-often" not in warnings(data(100))


def test_a_budget_that_is_not_reached() -> None:
    data = with_facts(natural())
    found = warnings(replace(data, facts=data.facts | {"budget": 500}))["budget-not-reached"]
    assert found.message == "the budget is 500 samples, and nothing is left after 400"
    assert "budget-not-reached" not in warnings(replace(data, facts=data.facts | {"budget": 400}))


def test_readers_that_share_lanes() -> None:
    data = plan_data(labels([30_000, 10_000], 4), [3, 1], order=OrderParameters(7, "global", 2048, 4, 16))
    found = warnings(data, readers=16)["lanes"]
    assert found.message.startswith("16 readers share 4 lanes: they read 1.00 × as many bytes and open ")
    assert "`order: {lanes: 16}`" in found.fix
    assert "lanes" not in warnings(data, readers=2)


@pytest.mark.parametrize(
    ("files", "shared", "warned"),
    [
        (9, (100, 10**9), True),
        (9, (4000, 10**9), False),
        (9, (4000, 10**8), True),
        (0, (100, 10**9), False),
        (9, None, False),
    ],
)
def test_readers_that_could_share_what_they_fetch(files: int, shared: tuple[int, int] | None, warned: bool) -> None:
    requests, read = shared or (None, None)
    cost = Cost("far", files, 2, 1 << 22, 1 << 17, 4000, 10**9, 10**9, 1.0, requests, read)
    found = {one.code: one for one in advice(replace(report(natural(), DIGEST), cost=(cost,)))}
    assert warned == ("not-shared" in found)
    if warned:
        assert found["not-shared"].message.startswith("on far, 2 readers make 4,000 requests for ")
        assert "MIXTERA_SPOOL" in found["not-shared"].fix


@pytest.mark.parametrize(("count", "size", "warned"), [(5000, 1000, True), (5000, 2_000_000, False), (10, 1000, False)])
def test_many_small_files(count: int, size: int, warned: bool) -> None:
    assert warned == ("small-files" in {warning.code for warning in advice(many_files(natural(), count, size))})


def test_every_rule_is_a_test_here() -> None:
    """A rule without a test above would be found by its name."""
    assert [rule.__name__ for rule in RULES] == [
        "ends_early",
        "repeated",
        "endless",
        "budget_not_reached",
        "left_over",
        "overlapping",
        "large_groups",
        "read_often",
        "lanes",
        "not_shared",
        "small_files",
    ]
