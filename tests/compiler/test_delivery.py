"""Components that deliver content columns beside others that deliver tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixtera.artifact.digest import digest
from mixtera.compiler import Stop, compile
from mixtera.errors import PlanError, SpecError
from mixtera.explanation import explain
from mixtera.plan import Plan
from tests.both import SPEC, compiled, write_files


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("both")
    write_files(root)
    return root


@pytest.fixture(scope="module")
def plan(root: Path) -> Plan:
    return compiled(root)


def changed(old: str, new: str) -> str:
    assert old in SPEC
    return SPEC.replace(old, new)


def test_positions_are_sequences_or_samples(plan: Plan) -> None:
    english, german, pictures = plan.data.components
    assert (pictures.samples, pictures.places) == (120, 120)
    assert english.samples > 50
    assert german.samples > 50
    assert plan.data.unit == "positions"


def test_all_of_a_kind_but_a_part_of_a_group_is_delivered(plan: Plan) -> None:
    given = plan.data.timeline.filled(plan.data.timeline.total + 0 * plan.data.component_entries[:1])[0].tolist()
    wanted = [component.places for component in plan.data.components]
    assert given[:2] == wanted[:2] or sum(wanted[:2]) - sum(given[:2]) < 16
    assert 0 <= 120 - given[2] < 16


def test_what_is_delivered_and_the_group_are_in_the_digest(root: Path, plan: Plan) -> None:
    others = [
        compiled(root, changed("deliver: [image, caption]", "deliver: [caption, image]")),
        compiled(root, changed("deliver: [image, caption]", "deliver: image")),
        compiled(root, changed("group: 16", "group: 32")),
    ]
    assert len({plan.digest, *(other.digest for other in others)}) == 4
    assert digest(plan.data) == plan.digest


def test_the_group_is_the_granule_unless_it_is_written(root: Path) -> None:
    found = compiled(root, changed("stream: {group: 16}\n", ""))
    assert found.data.delivery is not None
    assert found.data.delivery.group == 8


def test_a_template_says_which_columns_are_the_text(root: Path) -> None:
    text = changed("sequence_length: 32", 'sequence_length: 32, template: "{caption}"')
    text = text.replace(
        "{name: english, where: {language: en}, weight: 50}", "{name: all, where: {dataset: text}, weight: 1}"
    )
    with pytest.raises(
        SpecError, match="'all' delivers tokens, whose text is caption, and 200 of its samples are of so"
    ):
        compiled(root, text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "where: {dataset: pictures}, weight: 30,",
            "weight: 30,",
            "",
        ),
        (
            "where: {language: en}, weight: 50}",
            "where: {dataset: pictures}, weight: 50}",
            "component 'english' delivers tokens, whose text is text, and 120 of its samples are of source 'pictures', "
            r"which has image, caption: narrow its `where`, or say `deliver: \[image\]`",
        ),
        (
            "where: {language: en}, weight: 50}",
            "where: {language: en}, weight: 50, deliver: image}",
            "component 'english' delivers image, and 100 of its samples are of source 'text', which has text: narrow",
        ),
    ],
)
def test_samples_have_what_their_component_delivers(root: Path, old: str, new: str, message: str) -> None:
    text = changed(old, new)
    if not message:
        assert compiled(root, text).data.columns[2] == ("image", "caption")
        return
    with pytest.raises(SpecError, match=message):
        compiled(root, text)


def test_a_budget_counts_positions(root: Path) -> None:
    text = changed("redistribute", "stop\n  budget: {samples: 5000}")
    with pytest.raises(SpecError, match="budget: 5,000 positions cannot be had"):
        compiled(root, text)


def test_weights_by_documents_count_a_picture_as_one(root: Path) -> None:
    found = compiled(root, changed("mixture:\n", "mixture:\n  unit: samples\n"))
    english, german, pictures = (component.weight for component in found.data.components)
    assert pictures == pytest.approx(30)
    assert english > 50
    assert german > 20


def test_such_a_plan_is_not_taken_over(root: Path, plan: Plan) -> None:
    import mixtera

    spec, catalog = mixtera.load(root / "both.yaml"), mixtera.Catalog.open(str(root / "catalog"))
    with pytest.raises(PlanError, match="has components that deliver different things"):
        compile(spec, catalog, continue_from=Stop(plan, 64))


def test_explain_says_what_is_delivered(plan: Plan) -> None:
    text = str(explain(plan))
    assert "delivered as they are, a sample a position:" in text
    assert "pictures       120  image, caption" in text
    assert "16 positions in a row deliver the same: batches whose size divides 16 never mix" in text
    assert "rounds of 256 positions" in text
    assert "120 positions" in explain(plan).to_mermaid()


def test_why_a_picture_is_not_delivered(root: Path) -> None:
    from mixtera.explanation.absence import absence

    found = compiled(root, changed("redistribute", "stop\n  budget: {samples: 100}"))
    delivered = set(found.samples(0, 100)["sample"].to_pylist())
    picture = next(
        number for row in range(60) if (number := found.sample_id("pictures", "0.tar", row)) not in delivered
    )
    assert "of component pictures, and the plan ends after" in absence(found, picture)
