"""A small installation, made by hand: the demo's corpus of it is the same on every machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixtera.demo.installation import Installation
from tests.miniature import install, put


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    site = tmp_path / "site-packages"
    install(
        site,
        "numbers_kit",
        {
            "numbers_kit/__init__.py": "def add(a, b):\n    return a + b\n",
            "numbers_kit/fast.pyx": "def add(int a, int b): return a + b\n",
            "numbers_kit/include/fast.h": "int add(int a, int b);\n",
            "numbers_kit/latin.py": b"# \xe9 in latin-1\n",
            "numbers_kit/empty.py": "",
            "numbers_kit/table.bin": b"\x00\x01",
            "numbers_kit-1.0.dist-info/licenses/LICENSE": "Permission is hereby granted.\n",
        },
        "License-Expression: MIT AND BSD-3-Clause\nClassifier: Topic :: Scientific/Engineering :: Mathematics\n"
        "Keywords: adding, numbers\nDescription-Content-Type: text/markdown\n\n# Numbers\n\nIt adds.\n",
    )
    install(
        site,
        "silent",
        {"silent.py": "x = 1\n", "silent.rst": "Silent\n======\n", "silent/notes.txt": "notes\n"},
        "License: a license of our own, see the long text that follows\n",
    )
    put(tmp_path / "lib" / "os.py", "name = 'posix'\n")
    put(tmp_path / "lib" / "LICENSE.txt", "PSF license\n")
    put(tmp_path / "lib" / "site-packages" / "elsewhere.py", "no = True\n")
    put(tmp_path / "include" / "Python.h", "#define PY 1\n")
    return Installation((site,), tmp_path / "lib", tmp_path / "include", "3.11.0")
