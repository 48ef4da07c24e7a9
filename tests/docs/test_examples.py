"""Every example of the README and of docs/ runs, in the order of its page, over a small corpus of the demo's making."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from mixtera.demo.corpus import build
from mixtera.demo.specs import copy_specs, example_specs
from tests.docs.blocks import Block, blocks
from tests.miniature import installation
from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
ALL_PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
GIVEN_A_PLAN = {"jax.md", "pytorch.md"}  # tests/adapters/test_how_to.py runs these, in one namespace
PAGES = [page for page in ALL_PAGES if blocks(page) and page.name not in GIVEN_A_PLAN]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMANDS = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-W", "error", "-c"]}


@pytest.fixture(scope="module")
def made_by_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a corpus as the demo makes it."""
    root = tmp_path_factory.mktemp("demo")
    build(root / "corpus", installation(root / "installation"))
    copy_specs(root)
    return root


PORT = "8750"
"""Where the service of a page listens: a port that is free takes its place, for nobody knows who has this one."""
SECONDS = 900
"""After which a block hangs."""


class Page:
    """A page whose blocks run in a directory; whatever they leave running is ended behind the last of them."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._port = directory, str(free_ports(1)[0])
        self._left: list[int] = []

    def run(self, block: Block) -> None:
        text = block.text.replace(PORT, self._port)
        if block.file is not None:
            (self._directory / block.file).write_text(text, encoding="utf-8")
            return
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        process = subprocess.Popen(
            [*COMMANDS[block.language], text],
            cwd=self._directory,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 0)  # there is still somebody in its group
                self._left.append(process.pid)
        assert process.returncode == 0, f"the block in line {block.line}:\n{text}\n{out}{err}"

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        for group in self._left:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_examples_of_a_page_run(page: Path, made_by_demo: Path, tmp_path: Path) -> None:
    (tmp_path / ".mixtera-demo").symlink_to(made_by_demo)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    with Page(tmp_path) as running:
        for block in blocks(page):
            running.run(block)


def test_the_readme_has_examples_in_both_languages() -> None:
    assert {block.language for block in blocks(ROOT / "README.md")} == {"yaml", "bash", "python"}


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    local = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_index_has_every_page_and_every_example() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / link).resolve() for link in LINK.findall(index.read_text(encoding="utf-8"))}
    pages = {page for page in (ROOT / "docs").rglob("*.md") if page != index}
    assert sorted({*pages, *example_specs()} - listed) == []
