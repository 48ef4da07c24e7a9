"""What is said when Spark is not there, does not answer, or goes away; nothing is left half-written."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import mixtera
from mixtera.catalog import Catalog
from tests.engines.spark.cluster import Cluster, wait_for
from tests.engines.spark.test_index import COMPUTED, folder, spec_in

__all__ = ["folder"]

MAIN = "import sys\n{before}\nfrom mixtera.cli.main import main\nsys.exit(main(sys.argv[1:]))"
WITHOUT = """\
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyspark", "py4j"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
"""
TWICE = """\
from mixtera.cli.main import main
from mixtera_backends.spark.cluster import parallelism
from mixtera_backends.spark.session import session_beside

parallelism(session_beside(None), 900)  # an executor takes as long to start as this machine needs
print(main(["index", "spec.yaml", "--catalog", "spark", "--executor", "spark"]), flush=True)
print(main(["compile", "plain.yaml", "--catalog", "local", "--engine", "spark", "-o", "plan"]), flush=True)
"""


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", **more}


def run(folder: Path, *words: str, before: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """A command of Mixtera's in a process of its own."""
    command = [sys.executable, "-c", MAIN.format(before=before), *words]
    return subprocess.run(
        command, cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=600
    )


def index(folder: Path) -> None:
    """Index with the local pool, for what is compiled."""
    Catalog.open(str(folder / "local")).index(spec_in(folder), workers=1)


INDEX = ("index", "spec.yaml", "--catalog", "spark", "--executor", "spark")
COMPILE = ("compile", "spec.yaml", "--catalog", "local", "--engine", "spark", "-o", "plan")


@pytest.mark.parametrize(("words", "what"), [(INDEX, "executors 'spark'"), (COMPILE, "engine 'spark'")])
def test_the_hint_where_it_is_not_installed_names_the_extra(folder: Path, words: tuple[str, ...], what: str) -> None:
    index(folder)
    done = run(folder, *words, before=WITHOUT)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{what} needs pyspark: pip install 'mixtera[spark]'\n"
    assert not (folder / "plan").exists()


@pytest.mark.parametrize("words", [INDEX, COMPILE])
def test_no_master_answers(folder: Path, words: tuple[str, ...]) -> None:
    index(folder)
    with socket.socket() as taken:  # and nobody listens
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        master = f"spark://127.0.0.1:{port}"
        done = run(folder, *words, MIXTERA_SPARK_MASTER=master)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"spark: no master answers at {master} (127.0.0.1:{port}: Connection refused); start it, or correct "
        "MIXTERA_SPARK_MASTER\n"
    )
    assert not (folder / "plan").exists()
    assert Catalog.open(str(folder / "spark")).sources() == ()


def test_a_master_that_is_none(folder: Path) -> None:
    spec_in(folder)
    done = run(folder, *INDEX, MIXTERA_SPARK_MASTER="spark://somewhere")
    assert (done.returncode, done.stderr) == (
        3,
        "spark: MIXTERA_SPARK_MASTER=spark://somewhere is no master; write spark://HOST:PORT\n",
    )


def test_there_is_no_java(folder: Path) -> None:
    spec_in(folder)
    done = run(folder, *INDEX, PATH=str(Path(sys.executable).parent) + ":/nowhere", JAVA_HOME="/nowhere")
    assert done.returncode == 3
    assert "spark: its Java process did not start: Spark 4 needs Java 17 or newer" in done.stderr


def test_a_cluster_that_dies_is_an_error_and_nothing_is_half_written(folder: Path, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    index(folder)
    shutil.copyfile(folder / "spec.yaml", folder / "plain.yaml")
    spec = spec_in(folder, computed=COMPUTED.replace('size"', 'waits"'))
    with Cluster(tmp_path_factory.mktemp("dying"), workers=1) as cluster:
        variables = environment(MIXTERA_SPARK_MASTER=cluster.master, MIXTERA_SPARK_PATIENCE="3")
        process = subprocess.Popen(
            [sys.executable, "-c", TWICE],
            cwd=folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        marker = folder / "marker"
        wait_for(lambda: marker.exists() or process.poll() is not None)
        cluster.end()
        out, err = process.communicate(timeout=600)
    assert out.split() == ["3", "3"], err
    assert f"spark: {cluster.master} has given no executor for 3 s; nothing was changed" in err
    assert "Traceback" not in err
    assert not (folder / "plan").exists()
    _, catalog = Catalog.open(str(folder / "local")), Catalog.open(str(folder / "spark"))
    assert catalog.sources() == ()
    catalog.index(spec, workers=1)
    assert mixtera.compile(spec, catalog).digest
