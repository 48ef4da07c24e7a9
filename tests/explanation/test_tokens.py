"""What a report says of rows of whole documents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mixtera.artifact.digest import digest
from mixtera.artifact.model import PlanData
from mixtera.explanation import bars, tokens
from mixtera.explanation.build import report
from mixtera.explanation.html import html
from mixtera.explanation.mermaid import mermaid
from mixtera.explanation.text import text
from mixtera.stream import Stream
from tests.explanation.plans import named
from tests.stream.fitted import fitted_plan, parameters

LONG = "code/a-component-with-a-name-that-is-far-longer-than-any-name-should-be"


@pytest.fixture
def data(tmp_path: Path) -> PlanData:
    return fitted_plan(tmp_path, given=parameters(32))


def test_padding_is_what_a_stream_of_an_epoch_has(data: PlanData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_BLOCK", 50)
    with Stream(data, digest(data), batch_size=1) as stream:
        rows = [(batch["component"][0].as_py(), batch["length"][0].as_py()) for batch in stream]
    for component, padding in zip(data.components, tokens.padding_of(data), strict=True):
        held = [length for name, length in rows if name == component.name]
        assert len(held) == component.samples
        assert padding == pytest.approx(1 - np.mean(held) / 33)
        assert 0 < padding < 0.1


def test_rows_that_are_never_padded_say_nothing_of_padding(data: PlanData) -> None:
    assert data.tokens is not None
    other = replace(data.tokens, parameters=replace(data.tokens.parameters, packing="concat"), windows=None)
    cut = replace(data, tokens=other)
    assert tokens.padding_of(cut) == [None, None, None]
    assert "padding" not in text(report(cut, "sha256:" + "0" * 64, None, None))


def test_the_table_has_room_for_padding_and_long_names(data: PlanData) -> None:
    found = text(report(named(data, ["web", LONG, "docs"]), "sha256:" + "0" * 64, None, None))
    (head,) = (line for line in found.splitlines() if "sequences of an epoch" in line)
    assert head.endswith("padding")
    assert [line for line in found.splitlines() if len(line) > 100] == []


DIGEST = "sha256:" + "0" * 64


def test_components_hold_sequences_and_files_hold_samples(data: PlanData) -> None:
    found = report(data, DIGEST, None, None)
    drawn = mermaid(found)
    for part in found.mixture:
        assert f", {part.samples:,} sequences<br/>" in drawn
    assert '|"' in drawn
    assert " samples<br/>" not in drawn
    said = [piece.says for bar in (*bars.sizes(found), *bars.final_epochs(found)) for piece in bar.pieces]
    assert said
    assert all(" sequences" in one and "samples" not in one for one in said)


def test_a_page_says_sequences_where_components_are_meant(data: PlanData) -> None:
    page = html(report(data, DIGEST, None, None))
    assert 'aria-label="Sequences of the components, delivered and never delivered' in page
    assert "Sequences: <span" in page
    assert '<dd class="more">sequences of the whole run' in page
    assert "sequences, in granules of" in page


def test_the_order_tells_windows_of_documents(data: PlanData) -> None:
    fitted = " ".join(text(report(data, DIGEST, None, None)).split())
    documents = round(float(np.average(tokens.documents_of(data), weights=data.timeline.phases[0].weights)))
    assert (
        f"seed {data.order.seed}: windows of about {documents} documents, fitted into rows; windows, and the rows "
        "inside them, in another order each epoch" in fitted
    )
    assert data.tokens is not None
    other = replace(data.tokens, parameters=replace(data.tokens.parameters, packing="concat"), windows=None)
    assert "then documents inside windows of about" in " ".join(
        text(report(replace(data, tokens=other), DIGEST, None, None)).split()
    )
    in_order = replace(data, order=replace(data.order, shuffle="none"))
    assert "shuffle none: each component in the order of its files" in text(report(in_order, DIGEST, None, None))
