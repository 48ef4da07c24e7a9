"""Plugins come through entry points, and one that is broken is an error of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
from mixtera.errors import PluginError
from mixtera.registry import format_named
try:
    format_named("ours")
except PluginError as error:
    print(error)
"""

FORMAT = "[mixtera.formats]\nours = ours_format:Ours\n"
STORAGE = "[mixtera.storage]\nours = ours_format:Ours\n[mixtera.paths]\nours = ours_format:Ours\n"
PATHS_PROGRAM = """
from mixtera.registry import storage_of
print(*(storage_of(path).name for path in ("/a.ours", "file:///b.ours", "/a.jsonl")))
"""


def answer(directory: Path, module: str, entry_points: str = FORMAT, program: str = PROGRAM) -> str:
    """What a program says, with a distribution that lies in the directory."""
    facts = directory / "ours-1.2.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: ours\nVersion: 1.2\n")
    (facts / "entry_points.txt").write_text(entry_points)
    (directory / "ours_format.py").write_text(module)
    path = os.pathsep.join([str(directory), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_plugin_whose_class_is_missing_is_named_with_its_distribution(tmp_path: Path) -> None:
    said = answer(tmp_path, "class Other: ...\n")
    assert said.startswith("formats 'ours' cannot be loaded, ours_format:Ours of ours 1.2:")
    assert "'Ours'" in said


def test_a_plugin_that_needs_something_says_what(tmp_path: Path) -> None:
    assert answer(tmp_path, "import surely_not_installed\n").startswith("formats 'ours' needs surely_not_installed")


def test_a_plugin_is_found(tmp_path: Path) -> None:
    assert answer(tmp_path, "class Ours: ...\n") == ""


def test_a_storage_of_some_paths_is_asked_for_paths(tmp_path: Path) -> None:
    module = (
        "class Ours:\n    name, schemes = 'ours', ()\n    def recognises(self, path):\n        return '.ours' in path\n"
    )
    assert answer(tmp_path, module, STORAGE, PATHS_PROGRAM) == "ours ours local"
