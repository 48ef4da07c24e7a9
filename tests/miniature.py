"""Small installations, made by hand: the demo's corpus of them is the same on every machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mixtera.demo.installation import Installation

IN_2021 = 1_609_459_200 + 86_400 * 40


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(path, (IN_2021, IN_2021))


def install(site: Path, name: str, files: Mapping[str, str | bytes], metadata: str) -> None:
    """Lay out a package as pip does: its files, METADATA and RECORD."""
    info = f"{name}-1.0.dist-info"
    contents = {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{metadata}"}
    for path, content in contents.items():
        put(site / path, content)
    put(site / info / "RECORD", "".join(f"{path},,\n" for path in [*contents, f"{info}/RECORD"]))


def _modules(package: str, count: int) -> dict[str, str | bytes]:
    """`count` source files, a quarter as many headers and documents."""
    files: dict[str, str | bytes] = {}
    for i in range(count):
        files[f"{package}/module_{i:03d}.py"] = f'"""Module {i} of {package}."""\n\nVALUE = {i}\n' + "# more\n" * (
            i % 9
        )
    for i in range(count // 10):
        files[f"{package}/fast_{i:03d}.pyx"] = f"cdef int value_{i}():\n    return {i}\n" + "# faster\n" * (i % 5)
    for i in range(count // 4):
        files[f"{package}/include/header_{i:03d}.h"] = f"#define {package.upper()}_{i} {i}\nint value_{i}(void);\n"
        files[f"{package}/docs/page_{i:03d}.md"] = f"# Page {i}\n\nAbout module {i} of {package}, at some length.\n"
        files[f"{package}/docs/page_{i:03d}.rst"] = f"Page {i}\n=======\n\nAbout module {i} of {package}, again.\n"
        files[f"{package}-1.0.dist-info/licenses/part_{i:03d}/LICENSE"] = (
            f"You may use, copy and change part {i} of {package} freely.\n"
        )
    return files


def installation(root: Path, modules: int = 120) -> Installation:
    """Three packages with different licenses and topics, each of `modules` source files, and a standard library."""
    site = root / "site-packages"
    science = "License-Expression: BSD-3-Clause\nClassifier: Topic :: Scientific/Engineering :: Mathematics\n"
    install(site, "algebra", _modules("algebra", modules), science + "\n# Algebra\n\nIt computes.\n")
    install(site, "gadgets", _modules("gadgets", modules), "License-Expression: MIT\nKeywords: tools,gadgets\n")
    install(site, "riddles", _modules("riddles", modules), "Summary: it does not say under which terms it comes\n")
    for i in range(10):
        put(root / "lib" / f"stdlib_{i}.py", f"def function_{i}() -> int:\n    return {i} * {i} + {i}\n")
    put(root / "include" / "Python.h", "#define PY_MAJOR_VERSION 3\n#define PY_MINOR_VERSION 11\n")
    return Installation((site,), root / "lib", root / "include", "3.11.0")
