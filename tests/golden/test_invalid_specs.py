"""Each file of specs/invalid is one mistake (or some of a kind) with the exact message that it gets."""

from pathlib import Path

import pytest

from mixtera.errors import SpecError
from mixtera.spec import load

INVALID = Path(__file__).parents[2] / "specs" / "invalid"
SPECS = sorted(INVALID.glob("*.yaml"))


def test_there_are_many_mistakes() -> None:
    assert len(SPECS) >= 50


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_the_message_is_exactly_this(
    spec: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(INVALID)
    with pytest.raises(SpecError) as caught:
        load(spec.name)
    message, expected = f"{caught.value}\n", spec.with_suffix(".txt")
    if request.config.getoption("--write-golden"):
        expected.write_text(message, encoding="utf-8")
    assert message == expected.read_text(encoding="utf-8")


def test_no_message_is_left_over() -> None:
    assert {path.stem for path in INVALID.glob("*.txt")} == {path.stem for path in SPECS}
