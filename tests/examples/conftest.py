"""A plan of tokens for the examples: their own spec, over a small corpus as the demo makes it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mixtera
from mixtera.demo.corpus import build
from tests.miniature import installation

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The directory of the plan; the spec finds the corpus beside the folder that it lies in."""
    root = tmp_path_factory.mktemp("examples")
    build(root / ".mixtera-demo" / "corpus", installation(root / "installation"))
    (root / "examples").mkdir()
    shutil.copy(EXAMPLES / "pretraining.yaml", root / "examples")
    spec = mixtera.load(str(root / "examples" / "pretraining.yaml"))
    catalog = mixtera.Catalog.open(str(root / "catalog"))
    catalog.index(spec, workers=1)
    mixtera.compile(spec, catalog).save(str(root / "plan"))
    return str(root / "plan")


@pytest.fixture(scope="session")
def ado_plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The directory of a plan of the example's spec, over the example's corpus."""
    root = tmp_path_factory.mktemp("ado")
    subprocess.run([sys.executable, EXAMPLES / "ado_corpus.py", root / "ado-corpus"], check=True)
    (root / "examples").mkdir()
    shutil.copy(EXAMPLES / "ado.yaml", root / "examples")
    spec = mixtera.load(str(root / "examples" / "ado.yaml"))
    catalog = mixtera.Catalog.open(str(root / "catalog"))
    catalog.index(spec, workers=1)
    mixtera.compile(spec, catalog).save(str(root / "plan"))
    return str(root / "plan")
