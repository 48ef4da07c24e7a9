"""What `mixtera diff` says of the two specs of docs/how-to/lock-and-compare.md, which shows it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mixtera.cli.main import main
from mixtera.demo.corpus import build
from mixtera.demo.specs import copy_specs
from tests.docs.blocks import blocks
from tests.miniature import installation

NAME = "diff-mixture.txt"
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "lock-and-compare.md"
SHOWN = re.compile(rf"(?<=^<!-- tests/golden/{NAME} -->\n)```text\n.*?^```\n", re.MULTILINE | re.DOTALL)


def test_diff(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    check_golden: Callable[[str, str], None],
) -> None:
    build(tmp_path / ".mixtera-demo" / "corpus", installation(tmp_path / "installation"))
    copy_specs(tmp_path / ".mixtera-demo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIXTERA_CATALOG", raising=False)
    written = {block.file: block.text for block in blocks(PAGE) if block.file}
    (tmp_path / "mixture.yaml").write_text(written["mixture.yaml"], encoding="utf-8")
    change = next(line for block in blocks(PAGE) for line in block.text.splitlines() if line.startswith("sed "))
    subprocess.run(["bash", "-c", change], check=True, timeout=600)
    assert main(["index", "mixture.yaml", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["diff", "mixture.yaml", "changed.yaml", "--batch", "64"]) == 0
    check_golden(NAME, capsys.readouterr().out)


def test_the_page_shows_it(request: pytest.FixtureRequest) -> None:
    golden = (Path(__file__).parent / NAME).read_text(encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    shown = SHOWN.sub(lambda _: f"```text\n{golden}```\n", text)
    if request.config.getoption("--write-golden"):
        PAGE.write_text(shown, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == shown, f"{PAGE.name} shows other text; `make golden`"
    assert golden in shown
