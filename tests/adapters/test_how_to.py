"""The loops of the how-to pages run as they are, one block after the other, given a plan."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import blocks

PAGES = Path(__file__).parents[2] / "docs" / "how-to"


@pytest.mark.parametrize("page", ["pytorch.md", "jax.md"])
def test_the_blocks_of_a_page_run(page: str, plan_path: Path, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    text = "\n".join(block.text for block in blocks(PAGES / page))
    assert "mixtera.adapters" in text
    script.write_text(f"plan = {str(plan_path)!r}\n{text}", encoding="utf-8")
    command = [sys.executable, "-W", "error", str(script)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stderr
