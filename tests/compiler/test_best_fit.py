"""Compiled plans of `packing: best_fit`: positions are rows, and the plan says what each window has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mixtera.compiler import compile
from mixtera.compiler import fitted as compiler_fitted
from mixtera.errors import SpecError
from mixtera.explanation import explain
from mixtera.order.fitting import Windows
from mixtera.plan import Plan
from mixtera.testing.catalog import MadeCatalog, MadeFile, MadeSource
from mixtera.tokens.columns import count_column
from mixtera.tokens.parameters import token_parameters
from tests.compiler.made import spec_of
from tests.stream.fitted import parameters as fitted_parameters

TOKENS = """tokens:
  tokenizer: bytes
  sequence_length: 16
  packing: best_fit
"""
MIXTURE = """mixture:
  unit: {unit}
  on_exhaust: redistribute
  components:
    - {{name: english, where: 'language == "en"', weight: 1}}
    - {{name: rest, where: 'language != "en"', weight: 1}}
"""


def counts(number: int = 9000) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 40, number)


def plan_of(tmp_path: Path, rest: str, tokens: Sequence[int]) -> Plan:
    """Compile a spec over one source of samples that have so many tokens without eos; every third is English."""
    samples = [{"language": "en" if row % 3 == 0 else "de"} for row in range(len(tokens))]
    web = MadeSource("web", {"language": "string"}, [MadeFile("a.jsonl", 7, samples)])
    spec = spec_of(tmp_path, TOKENS + rest, [web])
    assert spec.tokens is not None
    column = count_column(spec.sources[0], token_parameters(spec.tokens))
    counted = [{**sample, column: int(count)} for sample, count in zip(samples, tokens, strict=True)]
    directory = tmp_path / "catalog"
    directory.mkdir()
    files = [MadeFile("a.jsonl", 7, counted)]
    catalog = MadeCatalog(directory, [replace(web, types={**web.types, column: "int64"}, files=files)])
    return compile(spec, catalog)


def test_positions_are_rows_and_the_plan_has_those_of_each_window(tmp_path: Path) -> None:
    tokens = counts()
    plan = plan_of(tmp_path, MIXTURE.format(unit="tokens"), tokens.tolist())
    english = np.arange(len(tokens)) % 3 == 0
    whole = np.where(tokens > 0, tokens + 1, 0).astype(np.uint32)
    expected = [Windows.of(whole[english], 17, 1), Windows.of(whole[~english], 17, 1)]
    windows = plan.data.tokens.windows
    assert windows.rows.tolist() == [row for one in expected for row in one.rows.tolist()]
    assert windows.documents.tolist() == [int(one.documents[0]) for one in expected]
    rows = [int(one.rows.sum()) for one in expected]
    assert [component.samples for component in plan.data.components] == rows
    assert len(plan) == sum(rows)


def test_every_document_is_in_the_rows_of_the_plan(tmp_path: Path) -> None:
    tokens = counts(5000)
    plan = plan_of(tmp_path, MIXTURE.format(unit="tokens"), tokens.tolist())
    found = plan.samples(0, len(plan))
    row, first, last = (found.column(name).to_numpy() for name in ("row", "first_token", "last_token"))
    held = np.zeros(len(tokens), np.int64)
    np.maximum.at(held, row, last)
    assert held.tolist() == np.where(tokens > 0, tokens + 1, 0).tolist()
    assert np.bincount(row[first == 0], minlength=len(tokens)).tolist() == (tokens > 0).astype(int).tolist()
    position = found.column("position").to_numpy()
    assert np.bincount(position, last - first).max() <= 17


def test_epochs_end_where_they_are_written(tmp_path: Path) -> None:
    rest = MIXTURE.format(unit="tokens") + "  max_epochs: 1.5\n"
    plan = plan_of(tmp_path, rest, counts(300).tolist())
    for component in plan.data.components:
        assert component.places == int(1.5 * component.samples)


def test_weights_of_samples_become_weights_of_rows(tmp_path: Path) -> None:
    tokens = np.where(np.arange(3000) % 3 == 0, 15, 7)
    plan = plan_of(tmp_path, MIXTURE.format(unit="samples"), tokens.tolist())
    english, rest = (component.weight for component in plan.data.components)
    assert english / rest == pytest.approx(2, rel=0.01)  # a row of 17 has one document of 16 tokens, or two of 8


def test_explain_says_how_much_is_padding(tmp_path: Path) -> None:
    tokens = np.where(np.arange(3000) % 3 == 0, 15, 33)
    plan = plan_of(tmp_path, MIXTURE.format(unit="tokens"), tokens.tolist())
    found = explain(plan)
    english, rest = found.to_json()["tokens"]["parts"]
    assert english["padding"] == pytest.approx(1 / 17)  # 16 of 17 tokens
    # 34 tokens are two full rows, which share one token, and two tokens more, eight of which go into a row
    assert rest["sequences"] == 2 * 2000 + 2000 // 8
    assert rest["padding"] == pytest.approx(1 / 17 / 17)
    assert "padding\n" in str(found)
    assert "5.88 %\n" in str(found)


def test_curricula_are_refused_with_every_place(tmp_path: Path) -> None:
    rest = MIXTURE.format(unit="tokens") + "order:\n  by: language\n"
    with pytest.raises(SpecError, match=r"by: language sorts documents, and `packing: best_fit`") as raised:
        plan_of(tmp_path, rest, [1, 2, 3])
    assert len(raised.value.issues) == 1
    assert "packing: concat" in str(raised.value)


def test_a_component_without_tokens_is_refused(tmp_path: Path) -> None:
    tokens = np.where(np.arange(30) % 3 == 0, 0, 7)
    with pytest.raises(SpecError, match=r"'english': its 10 samples have no tokens; give it weight 0"):
        plan_of(tmp_path, MIXTURE.format(unit="tokens"), tokens.tolist())


def test_less_than_a_row_is_refused(tmp_path: Path) -> None:
    rest = MIXTURE.format(unit="tokens") + "  max_epochs: 0.1\n"
    with pytest.raises(SpecError, match=r"fill 5 rows, and `max_epochs` allows less than one; at least 0.2 is needed"):
        plan_of(tmp_path, rest, [7] * 30)


def test_the_documents_of_each_code_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows are looked at in one go; those of no component are passed over."""
    monkeypatch.setattr(compiler_fitted, "_BLOCK", 7)
    random = np.random.default_rng(1)
    codes, tokens = random.integers(0, 5, 200).astype(np.uint8), random.integers(0, 90, 200).astype(np.uint32)
    found = compiler_fitted.fitted(tokens, codes, 4, fitted_parameters(32))
    for code, windows in enumerate(found):
        expected = Windows.of(tokens[codes == code], 33, 1)
        assert windows.rows.tolist() == expected.rows.tolist()
        assert windows.documents.tolist() == expected.documents.tolist()
